import { ModelError } from './model-error.ts';

/** Why the scheduler gives an item up; `model` names the model in the message. */

export function overloaded(model: string, maxWaitingItems: number): ModelError {
  return new ModelError(
    'overloaded',
    `${model}: expected at most ${maxWaitingItems} waiting items; try again later`,
  );
}

export function dropped(model: string, why: 'timeout' | 'queue-full'): ModelError {
  return why === 'timeout'
    ? new ModelError('queue-timeout', `${model}: the item waited longer than its queue policy allows`)
    : new ModelError('overloaded', `${model}: the queue of its queue policy is full; try again later`);
}

export function noInstance(model: string): ModelError {
  return new ModelError('no-instance', `${model}: none of its instances is alive`);
}

/** For the item that alone made its micro-batch fail. */
export function doomed(
  model: string,
  { failure, cause, losses }: { failure: 'model-error' | 'instance-lost'; cause: unknown; losses: number },
): ModelError {
  if (failure === 'model-error' && cause instanceof ModelError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (failure === 'model-error') return new ModelError('run-failed', `${model}: ${reason}`, { cause });
  const message = `${model}: expected the instance to survive the item, it was lost ${losses} times: ${reason}`;
  return new ModelError('crashes-instance', message, { cause });
}
