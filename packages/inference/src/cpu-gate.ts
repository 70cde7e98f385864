/** Lets runs on the CPU use at most `budget` threads together, first come first served. */
export class CpuGate {
  readonly #waiting: { threads: number; enter: () => void }[] = [];
  readonly #budget: number;
  #free: number;

  constructor(budget: number) {
    this.#budget = budget;
    this.#free = budget;
  }

  /** Resolves when `threads` are free, and to the function that gives them back; call it once. */
  async enter(threads: number): Promise<() => void> {
    const taken = Math.min(threads, this.#budget);
    if (this.#waiting.length > 0 || taken > this.#free) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ threads: taken, enter: resolve });
      });
    } else this.#free -= taken;
    return () => {
      this.#free += taken;
      this.#admit();
    };
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next && next.threads <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.threads;
      next.enter();
    }
  }
}
