import { type CancelContext, expireDue } from './cancel.ts';

const everyMs = 1000;

/** Ends waiting jobs whose deadline passes while no worker picks them up. Many may do so at once. */
export function startJanitor(context: CancelContext & { onError: (error: Error) => void }): {
  close(): void;
} {
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    expireDue(context, Date.now())
      .catch(context.onError)
      .finally(() => {
        busy = false;
      });
  }, everyMs);
  return { close: () => clearInterval(timer) };
}
