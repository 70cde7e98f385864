// Who does something next.

import { type Process, RedisAway, type Step, type Steps, Violation } from './job-life-model.ts';

export interface Task {
  process: Process;
  name: string;
  steps: Steps<unknown>;
  next: Step;
  wakeMs: number;
}

/** All that goes on at once, each to take its next step at its time. */
export class Schedule {
  #tasks: Task[] = [];
  readonly #wakeMs: (step: Step) => number;

  /** `wakeMs`: when a step is done that is decided on now. */
  constructor(wakeMs: (step: Step) => number) {
    this.#wakeMs = wakeMs;
  }

  spawn(process: Process, name: string, steps: Steps<unknown>): void {
    const { done, value } = steps.next();
    if (!done) this.#tasks.push({ process, name, steps, next: value, wakeMs: this.#wakeMs(value) });
  }

  /** Nothing of what it was at goes on: not even what would be tidied up. */
  endAllOf(process: Process): void {
    this.#tasks = this.#tasks.filter((task) => task.process !== process);
  }

  /** The name of something of these that goes on. */
  find(names: readonly string[]): string | undefined {
    return this.#tasks.find(({ name }) => names.includes(name))?.name;
  }

  first(): Task {
    let task = this.#tasks[0];
    for (const other of this.#tasks) if (task === undefined || other.wakeMs < task.wakeMs) task = other;
    if (task === undefined) throw new Violation('nothing happens any more');
    return task;
  }

  /** The task's step is done, or failed. */
  resume(task: Task, error?: Error): void {
    try {
      const { done, value } = error === undefined ? task.steps.next() : task.steps.throw(error);
      if (!done) {
        task.next = value;
        task.wakeMs = this.#wakeMs(value);
        return;
      }
    } catch (thrown) {
      // Its caller is told to come again.
      if (!(thrown instanceof RedisAway)) throw thrown;
    }
    this.#tasks = this.#tasks.filter((other) => other !== task);
  }
}
