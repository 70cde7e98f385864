/** @import { Job, Result } from '../../../packages/client/src/types.ts' */
import { CallError, call, followJob, isEnded, post } from './api.js';
import { find, say } from './dom.js';
import { counted, duration, size } from './format.js';
import { takePictures } from './intake.js';
import { withKey } from './key.js';
import { openPicture } from './picture.js';
import { showReading } from './reading.js';
import { fitting } from './shrink.js';
import { stageOf } from './stage.js';

const place = {
  choose: find('choose', HTMLElement),
  chooseProblem: find('choose-problem', HTMLElement),
  work: find('work', HTMLElement),
  name: find('name', HTMLElement),
  status: find('status', HTMLElement),
  problem: find('problem', HTMLElement),
  note: find('note', HTMLElement),
  picture: find('picture', HTMLElement),
  pages: find('pages', HTMLElement),
  reading: find('reading', HTMLElement),
};
const buttons = {
  copy: find('copy', HTMLButtonElement),
  download: find('download', HTMLButtonElement),
  cancel: find('cancel', HTMLButtonElement),
  again: find('again', HTMLButtonElement),
  another: find('another', HTMLButtonElement),
};

/** Bytes that the API takes; it says so itself once the key is known. */
let uploadBytes = 0;

/** What is being read, or was: at most one at a time. @type {{ file: File, stop: AbortController, close: () => void } | undefined} */
let current;

await withKey({
  needs: 'Pictures are read by whoever has a key that may submit jobs.',
  check: async () => {
    ({ uploadBytes } = await (await call('v1/limits')).json());
  },
});
find('limit', HTMLElement).textContent = `, up to ${size(uploadBytes)}`;
place.choose.hidden = false;
takePictures({
  onPicture: (file) => void read(file),
  onProblem: (message) => {
    leave();
    say(place.chooseProblem, message);
  },
});
buttons.another.addEventListener('click', leave);
buttons.again.addEventListener('click', () => {
  if (current !== undefined) void read(current.file);
});

/** Back to where a picture is chosen. */
function leave() {
  end();
  place.work.hidden = true;
  place.choose.hidden = false;
  say(place.chooseProblem, '');
  find('choose-file', HTMLButtonElement).focus();
}

function end() {
  current?.stop.abort(new DOMException('another picture is read', 'AbortError'));
  current?.close();
  current = undefined;
}

/** @param {File} file */
async function read(file) {
  end();
  const stop = new AbortController();
  const picture = openPicture(place.picture, file);
  current = { file, stop, close: picture.close };
  place.choose.hidden = true;
  place.work.hidden = false;
  place.name.textContent = file.name;
  place.name.focus();
  place.reading.replaceChildren();
  place.pages.hidden = true;
  say(place.problem, '');
  say(place.note, '');
  showButtons(['cancel']);
  buttons.cancel.onclick = leave;
  place.work.dataset.state = 'busy';
  try {
    const began = performance.now();
    const job = await submitted(file, stop.signal);
    buttons.cancel.onclick = () => void cancel(job.id);
    const ended = isEnded(job) ? job : await followed(job, stop.signal);
    await shown(ended, { picture, tookMs: performance.now() - began, signal: stop.signal });
  } catch (error) {
    if (stop.signal.aborted) return;
    failed(error);
  }
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 * @returns {Promise<Job>}
 */
async function submitted(file, signal) {
  place.status.textContent = 'Getting it ready …';
  const { blob, note } = await fitting(file, uploadBytes);
  say(place.note, note);
  place.status.textContent = `Sending ${size(blob.size)} …`;
  const form = new FormData();
  form.set('options', JSON.stringify({ microBatches: true }));
  form.set('image', blob, file.name);
  // Answered at once, with the job: it is followed from then on.
  const response = await call('v1/recognize?timeout=0', { method: 'POST', body: form, signal });
  return await response.json();
}

/**
 * @param {Job} job
 * @param {AbortSignal} signal
 */
async function followed(job, signal) {
  const stage = stageOf(place.status);
  stage.show(job);
  try {
    let last = job;
    for await (const now of followJob(job.id, signal)) {
      last = now;
      stage.show(now);
    }
    return last;
  } finally {
    stage.close();
  }
}

/** @param {string} id */
async function cancel(id) {
  buttons.cancel.disabled = true;
  try {
    await post(`v1/jobs/${id}/cancel`);
  } catch (error) {
    say(place.problem, `It could not be canceled: ${messageOf(error)}`);
  } finally {
    buttons.cancel.disabled = false;
  }
}

/**
 * @param {Job} job
 * @param {{ picture: ReturnType<typeof openPicture>, tookMs: number, signal: AbortSignal }} context
 */
async function shown(job, { picture, tookMs, signal }) {
  if (job.status === 'canceled')
    throw new CallError('It was canceled. Read it again, or choose another picture.', 'canceled');
  if (job.error !== null) throw new CallError(failureText(job.error), job.error.code);
  /** @type {Result} */
  const result = await (await call(`v1/jobs/${job.id}/result?format=json`, { signal })).json();
  place.work.dataset.state = 'done';
  const { lines, pages } = result.usage;
  const found = lines === 0 ? 'No text was found' : `${counted(lines, 'line')} on ${counted(pages, 'page')}`;
  const { pagesFailed } = job.progress;
  const failed = pagesFailed === 0 ? '' : ` ${counted(pagesFailed, 'page')} could not be read.`;
  place.status.textContent = `${found}, read in ${duration(tookMs)}.${failed}`;
  if (lines === 0 && pagesFailed === 0) {
    say(place.note, 'If there is text on it, try a sharper picture, or one in which the letters are larger.');
  }
  showReading({ job, result, picture, places: place });
  showButtons(lines === 0 ? ['another', 'download'] : ['another', 'copy', 'download']);
  buttons.copy.onclick = () => void copy(result.text);
  buttons.download.onclick = () => save(result, place.name.textContent ?? '');
}

/** @param {unknown} error */
function failed(error) {
  place.work.dataset.state = 'failed';
  place.status.textContent = 'It was not read.';
  say(place.problem, messageOf(error));
  showButtons(['again', 'another']);
}

/** @param {{ message: string, retryable: boolean }} failure */
function failureText({ message, retryable }) {
  return retryable ? `${message} It may work if you try again.` : message;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {(keyof typeof buttons)[]} wanted */
function showButtons(wanted) {
  for (const [name, button] of Object.entries(buttons)) button.hidden = !wanted.some((one) => one === name);
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    place.status.textContent = 'The text is in the clipboard.';
  } catch {
    // Browsers refuse it where a page came over plain HTTP from another machine.
    const plain = find('plain-text', HTMLDetailsElement);
    plain.open = true;
    getSelection()?.selectAllChildren(find('plain-text-content', HTMLElement));
    place.status.textContent = 'Your browser does not let this page copy; the text is marked: press Ctrl+C.';
  }
}

/**
 * @param {Result} result
 * @param {string} name
 */
function save(result, name) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(result, null, 2)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name.replace(/\.[^.]*$/, '') || 'picture'}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
