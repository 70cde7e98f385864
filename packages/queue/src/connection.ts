import { Redis, type RedisOptions } from 'ioredis';

export type { Redis };

/** Longest wait of a caller of the API for one command. */
const producerCommandTimeoutMs = 2000;
/**
 * A connection that was cut without a word is given up after this much silence while an answer is due: without it all
 * wait for good, since what is sent and never confirmed keeps the kernel's keep-alive from looking.
 */
const socketTimeoutMs = { producer: 5000, consumer: 20_000, subscriber: 5000 };
/** On a connection that only listens nothing would ever be due. */
const pingEveryMs = 2000;
const keepAliveMs = 10_000;

export type OnConnectionError = (error: Error) => void;

/** For processes that answer callers: fails fast while Redis is away. */
export function connectProducer(url: string, onError: OnConnectionError): Redis {
  return connect(url, onError, {
    enableOfflineQueue: false,
    commandTimeout: producerCommandTimeoutMs,
    maxRetriesPerRequest: 1,
    socketTimeout: socketTimeoutMs.producer,
  });
}

/** For processes that work through the queue: waits for Redis to come back. */
export function connectConsumer(url: string, onError: OnConnectionError): Redis {
  return connect(url, onError, { maxRetriesPerRequest: null, socketTimeout: socketTimeoutMs.consumer });
}

/** For listening to channels; subscriptions are renewed after a reconnect. */
export function connectSubscriber(url: string, onError: OnConnectionError): Redis {
  const socketTimeout = socketTimeoutMs.subscriber;
  const redis = connect(url, onError, { maxRetriesPerRequest: null, socketTimeout });
  const asking = setInterval(() => {
    // One that fails was under way when the connection broke, and says no more than that.
    if (redis.status === 'ready') redis.ping().catch(() => {});
  }, pingEveryMs);
  // One that is given up while Redis is away never comes to its end.
  asking.unref();
  redis.once('end', () => clearInterval(asking));
  return redis;
}

type Options = Omit<RedisOptions, 'replyMapping'>;

function connect(url: string, onError: OnConnectionError, options: Options): Redis {
  const common: Options = { ...options, keepAlive: keepAliveMs, retryStrategy: reconnectDelayMs };
  const redis = url.startsWith('unix://')
    ? new Redis({ ...common, path: decodeURIComponent(url.slice('unix://'.length)) })
    : new Redis(url, common);
  // Without a listener node ends the process.
  redis.on('error', onError);
  return redis;
}

/** 50 ms, 100 ms, … 2 s, with jitter so that a fleet does not come back in step. */
function reconnectDelayMs(tries: number): number {
  return Math.min(2000, 50 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2);
}

/** Resolves when the first connection stands; rejects with the cause after `deadlineMs`, and tries no more. */
export async function ready(redis: Redis, deadlineMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  let lastError: Error | undefined;
  const remember = (error: Error) => {
    lastError = error;
  };
  redis.on('error', remember);
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      redis.once('ready', resolve);
      timer = setTimeout(() => reject(noRedis(deadlineMs, lastError)), deadlineMs);
    });
  } catch (error) {
    redis.disconnect();
    throw error;
  } finally {
    clearTimeout(timer);
    redis.off('error', remember);
  }
}

function noRedis(deadlineMs: number, cause: Error | undefined): Error {
  const reason = cause === undefined ? '' : ` (${cause.message})`;
  return new Error(
    `Redis did not answer within ${deadlineMs} ms${reason}; check REDIS_URL and that it runs.`,
    { cause },
  );
}
