import type { Ledger, Submission, SubmitAnswer } from './ledger.ts';

/** Producers that go on submitting, whatever they are answered. */
export interface Load {
  readonly answers: readonly SubmitAnswer[];
  /** Jobs that were answered 202 so far. */
  readonly accepted: number;
  /** Resolves when the last one has been answered. */
  stop(): Promise<void>;
}

const producers = 3;
const pauseMs = 80;

/**
 * Some thirty small documents a second, from several producers. There are few different ones, so that most are answered
 * from the result cache, and it is the queue that is under load, unless `changes` ask for something else.
 */
export function startLoad(ledger: Ledger, changes?: Partial<Submission>): Load {
  const answers: SubmitAnswer[] = [];
  let stopping = false;
  const produce = async () => {
    while (!stopping) {
      answers.push(await ledger.trySubmitLine(changes));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const running = Promise.all(Array.from({ length: producers }, produce));
  return {
    answers,
    get accepted() {
      return answers.filter(({ status }) => status === 202).length;
    },
    async stop() {
      stopping = true;
      await running;
    },
  };
}

/** The longest that a caller waited for its answer, and the answers that were neither 202 nor 503. */
export function judge(answers: readonly SubmitAnswer[]): { slowestMs: number; odd: string[] } {
  return {
    slowestMs: Math.max(0, ...answers.map(({ tookMs }) => tookMs)),
    odd: answers
      .filter(({ status }) => status !== 202 && status !== 503)
      .map(({ status, detail }) => `${status}: ${detail}`),
  };
}
