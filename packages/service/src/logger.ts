import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The only fields that reach a log line; everything else is dropped. A list of what may pass leaks
 * nothing when somebody logs a whole object, which a list of what may not pass does.
 */
const allowedFields = new Set([
  'action',
  'address',
  'attempt',
  'attempts',
  'batch',
  'bucket',
  'bytes',
  'cause',
  'code',
  'count',
  'dir',
  'durationMs',
  'endpoint',
  'endpointId',
  'err',
  'event',
  'eventId',
  'exitCode',
  'fill',
  'host',
  'instance',
  'jobId',
  'key',
  'lines',
  'megapixels',
  'method',
  'mode',
  'model',
  'outcome',
  'pages',
  'phase',
  'pid',
  'port',
  'program',
  'provider',
  'reason',
  'remedy',
  'requestId',
  'retryInMs',
  'route',
  'sha256',
  'signal',
  'size',
  'state',
  'status',
  'statusCode',
  'tenant',
  'timings',
  'traceId',
  'trigger',
  'url',
  'version',
]);

/** One JSON line per entry on standard output. */
export function createLogger(options: { service: string; level: string }): Logger {
  return pino({
    level: options.level,
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: (fields) => Object.fromEntries(Object.entries(fields).filter(([name]) => allowedFields.has(name))),
    },
    serializers: { err: describeError },
  });
}

/** Name, message and stack only: the own properties of errors carry requests, headers and bodies. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause instanceof Error ? { cause: describeError(cause) } : {}) };
}
