/** @import { DeadLetter } from '../../../packages/contract/src/dead-letter.ts' */
/** @import { Stats } from '../../../packages/contract/src/stats.ts' */
import { button, element } from './dom.js';
import { age, counted } from './format.js';

/**
 * The failed jobs, by what failed, with a way to have them tried again. The buttons are made anew only when what they
 * are for has changed: a focused one stays.
 *
 * @param {HTMLElement} place
 * @param {{
 *   letters: readonly DeadLetter[], failures: Stats['failures'], onRedrive: (code: string | undefined) => Promise<void>,
 * }} found
 */
export function showDeadLetters(place, { letters, failures, onRedrive }) {
  const state = JSON.stringify([failures, letters.map(({ id }) => id)]);
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  const title = element('h2', {}, 'Failed jobs');
  if (letters.length === 0) {
    place.replaceChildren(
      title,
      element('p', { class: 'empty' }, 'None. Jobs that fail for good are kept here until they expire.'),
    );
    return;
  }
  const codes = new Map();
  for (const { error } of letters) codes.set(error?.code, (codes.get(error?.code) ?? 0) + 1);
  const hint = `${counted(failures.kept, 'is kept', 'are kept')}, ${failures.lastHour} of the last hour. Mend the cause first: a job that is tried again keeps its id and fails again if nothing has changed.`;
  const all = button(
    `Try all again (${failures.kept})`,
    once(() => onRedrive(undefined)),
    { class: 'primary' },
  );
  const some =
    codes.size < 2
      ? []
      : [...codes].map(([code, count]) =>
          button(
            `Only ${code} (${count})`,
            once(() => onRedrive(code)),
          ),
        );
  place.replaceChildren(
    title,
    element('p', { class: 'hint' }, hint),
    element('p', { class: 'buttons' }, all, ...some),
    element('ol', { class: 'letters' }, ...letters.map(letterOf)),
    ...(failures.kept > letters.length
      ? [element('p', { class: 'hint' }, `The latest ${letters.length} are shown.`)]
      : []),
  );
}

/**
 * A second press does nothing while the first is under way.
 *
 * @param {() => Promise<void>} work
 */
function once(work) {
  let isUnderWay = false;
  return async () => {
    if (isUnderWay) return;
    isUnderWay = true;
    await work().finally(() => {
      isUnderWay = false;
    });
  };
}

/** @param {DeadLetter} letter */
function letterOf({ id, tenant, error, finishedAt, attempt }) {
  const seconds = finishedAt === null ? 0 : Math.max(0, (Date.now() - Date.parse(finishedAt)) / 1000);
  const when = element(
    'time',
    { datetime: finishedAt ?? '', title: finishedAt ?? '' },
    `${age(seconds)} ago`,
  );
  return element(
    'li',
    {},
    element(
      'p',
      { class: 'letter-head' },
      element('strong', {}, error?.code ?? 'unknown'),
      ` in ${error?.phase ?? 'an unknown phase'}`,
      when,
    ),
    element('p', {}, error?.message ?? ''),
    element('p', { class: 'hint' }, `${tenant} · ${counted(attempt, 'attempt')} · `, element('code', {}, id)),
  );
}
