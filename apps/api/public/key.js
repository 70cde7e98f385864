import { element, find, say } from './dom.js';

/** Of this tab, and gone with it. */
const entry = 'glyphmill-key';

export function keptKey() {
  return sessionStorage.getItem(entry);
}

export function forgetKey() {
  sessionStorage.removeItem(entry);
}

/**
 * Asks for a key until `check` takes one, and shows the button that forgets it.
 *
 * @param {{ needs: string, check: () => Promise<unknown> }} options `check` throws, with what to do, where the key does not fit
 */
export async function withKey({ needs, check }) {
  const place = find('key', HTMLElement);
  let problem = '';
  let wasAsked = false;
  for (;;) {
    if (keptKey() === null) {
      wasAsked = true;
      sessionStorage.setItem(entry, await ask(place, { needs, problem }));
    }
    try {
      await check();
      break;
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      forgetKey();
    }
  }
  place.hidden = true;
  place.replaceChildren();
  const forget = find('forget-key', HTMLButtonElement);
  forget.hidden = false;
  forget.addEventListener('click', () => {
    forgetKey();
    location.reload();
  });
  if (wasAsked) find('main', HTMLElement).focus();
}

/**
 * @param {HTMLElement} place
 * @param {{ needs: string, problem: string }} options
 * @returns {Promise<string>}
 */
function ask(place, { needs, problem }) {
  const input = element('input', {
    id: 'api-key',
    type: 'password',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    required: '',
    placeholder: 'gm_…',
    'aria-describedby': 'key-hint key-problem',
  });
  const told = element('p', { id: 'key-problem', class: 'problem', role: 'alert' });
  const form = element(
    'form',
    {},
    element('h1', {}, 'Enter your API key'),
    element('p', { class: 'lead' }, needs),
    told,
    element('label', { for: 'api-key' }, 'API key'),
    element('div', { class: 'field' }, input, element('button', { class: 'primary' }, 'Continue')),
    element(
      'p',
      { id: 'key-hint', class: 'hint' },
      element('code', {}, 'npm start'),
      ' prints one; an operator makes others with ',
      element('code', {}, 'glyphmill key create'),
      '. It stays in this tab, is forgotten with it, and goes to this server only.',
    ),
  );
  place.replaceChildren(form);
  place.hidden = false;
  say(told, problem);
  if (problem !== '') input.setAttribute('aria-invalid', 'true');
  input.focus();
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const key = input.value.trim();
      // A header cannot carry it.
      if (/^[\x21-\x7e]+$/.test(key)) return resolve(key);
      say(told, 'An API key has no spaces and only plain letters: it begins with gm_. Copy it once more.');
    });
  });
}
