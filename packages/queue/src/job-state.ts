import { type FinalStatus, isFinal, type Status } from '@glyphmill/contract/job';

// All states of a job and all that may happen to it, on one page. The Lua scripts do the same inside Redis, where it is
// atomic; a test plays random histories against both and expects the same answers.
//
//              claim                        end
//   queued ───────────► running ─────────────────────────► succeeded · partial · failed · expired · canceled
//     │ ▲                 │ │                                             │
//     │ └── release ──────┘ │ cancel                                      │ retry, of partial, failed and expired
//     │                     ▼                end                          ▼
//     └── cancel ──────► canceling ──────────────────────► canceled    queued
//
// | BullMQ says                        | we say                                                      |
// |------------------------------------|-------------------------------------------------------------|
// | nothing yet                        | queued: in the backlog, or leased to whoever adds it         |
// | wait, prioritized, delayed, paused | queued, or canceling for the moment until it is removed      |
// | active                             | running or canceling; queued between its fetch and our claim |
// | completed, failed                  | a final state, or open in a later round, under another name  |

/** What decides what may happen to a job next. */
export interface JobState {
  status: Status;
  /** Of the attempt that may write; '' when there is none. Each new one shuts out those before. */
  token: string;
  attempt: number;
  crashes: number;
  /** The worker that has begun to read the document, or ''. */
  begunBy: string;
  /** How often somebody asked for the ended job to be done again. */
  round: number;
  /** Until it is asked for again. */
  hasDeadline: boolean;
}

export type JobEvent =
  | { type: 'claim'; token: string; worker: string; round: number }
  | { type: 'begin'; token: string; worker: string }
  | { type: 'progress'; token: string }
  | { type: 'release'; token: string }
  | { type: 'take'; token: string; why: 'cancel' | 'expire' }
  | { type: 'end'; token: string; status: FinalStatus }
  | { type: 'retry' }
  | { type: 'delete' };

/** What happens together with the change, in the same step. */
export type JobEffect =
  /** Watchers are told. */
  | 'announce'
  /** The worker that runs it is told to leave it. */
  | 'tell-worker'
  /** Record and result get their lifetime; the event, if anybody wants it, is in the outbox; the quota is given back. */
  | 'finish'
  /** It is leased, and due, to whoever feeds the queue. */
  | 'feed'
  /** The old result is gone. */
  | 'void-result';

export interface Transition {
  answer:
    | 'ok'
    | 'missing'
    | 'final'
    | 'fenced'
    | 'canceling'
    | 'taken'
    | 'told'
    | 'refused'
    | 'open'
    | 'deleted';
  /** undefined: there is no such job (any more). */
  state: JobState | undefined;
  effects: readonly JobEffect[];
}

export const newState: JobState = {
  status: 'queued',
  token: '',
  attempt: 0,
  crashes: 0,
  begunBy: '',
  round: 0,
  hasDeadline: false,
};

/** What `event` does to a job. Pure, and total: an event that is refused changes nothing and says why. */
export function transition(state: JobState | undefined, event: JobEvent): Transition {
  if (state === undefined) return { answer: 'missing', state, effects: [] };
  const refuse = (answer: Transition['answer']): Transition => ({ answer, state, effects: [] });
  const change = (
    changes: Partial<JobState>,
    effects: readonly JobEffect[],
    answer: Transition['answer'] = 'ok',
  ): Transition => ({ answer, state: { ...state, ...changes }, effects });
  const canceling = state.status === 'canceling';

  switch (event.type) {
    case 'claim': {
      // What BullMQ still hands out of an earlier round would only get in the way of the present one.
      if (isFinal(state.status) || event.round !== state.round) return refuse('final');
      const crashed = state.status !== 'queued' && state.begunBy !== '' && state.begunBy !== event.worker;
      return change(
        {
          status: canceling ? 'canceling' : 'running',
          token: event.token,
          attempt: state.attempt + 1,
          crashes: state.crashes + (crashed ? 1 : 0),
          begunBy: '',
        },
        ['announce'],
        canceling ? 'canceling' : 'ok',
      );
    }
    case 'begin':
      if (state.token !== event.token) return refuse('fenced');
      return change({ begunBy: event.worker }, [], canceling ? 'canceling' : 'ok');
    case 'progress':
      if (state.token !== event.token) return refuse('fenced');
      return change({}, ['announce'], canceling ? 'canceling' : 'ok');
    case 'release':
      if (state.token !== event.token) return refuse('fenced');
      if (canceling) return refuse('canceling');
      return change({ status: 'queued', token: '', begunBy: '' }, ['announce']);
    case 'take':
      // It was found to be late, and asked for again since.
      if (event.why === 'expire' && !state.hasDeadline) return refuse('missing');
      if (isFinal(state.status)) return refuse('final');
      if (state.status === 'queued') {
        const status = event.why === 'cancel' ? 'canceling' : 'queued';
        return change({ status, token: event.token }, [], 'taken');
      }
      if (event.why === 'expire') return refuse('told');
      return change({ status: 'canceling' }, ['announce', 'tell-worker'], 'told');
    case 'end':
      if (isFinal(state.status)) return refuse('final');
      if (state.token !== event.token) return refuse('fenced');
      return change({ status: event.status, token: '' }, ['finish', 'announce']);
    case 'retry':
      if (state.status !== 'failed' && state.status !== 'partial' && state.status !== 'expired') {
        return refuse('refused');
      }
      return change(
        { status: 'queued', crashes: 0, begunBy: '', round: state.round + 1, hasDeadline: false },
        ['void-result', 'feed', 'announce'],
      );
    case 'delete':
      if (!isFinal(state.status)) return refuse('open');
      return { answer: 'deleted', state: undefined, effects: ['announce'] };
  }
}
