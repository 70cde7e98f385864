/** Hands out shares of a fixed amount, first come first served; whoever asks for more than there is gets it alone. */
export class Budget {
  readonly #total: number;
  #free: number;
  readonly #waiting: { amount: number; grant: () => void }[] = [];

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  get used(): number {
    return this.#total - this.#free;
  }

  /** Resolves when `amount` is free, to the function that gives it back. Rejects when `signal` fires first. */
  async take(amount: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const share = Math.min(amount, this.#total);
    if (this.#waiting.length === 0 && share <= this.#free) this.#free -= share;
    else await this.#wait(share, signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += share;
      this.#admit();
    };
  }

  #wait(amount: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal.reason);
        this.#admit();
      };
      const grant = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const entry = { amount, grant };
      this.#waiting.push(entry);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #admit(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.amount <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.amount;
      next.grant();
    }
  }
}
