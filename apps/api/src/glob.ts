/** What stands for more than itself; any other token is the code point it stands for. */
const one = -1;
const segment = -2;
const any = -3;
const slash = 0x2f;

/**
 * Whether the whole of a text matches a glob: `?` is one and `*` any number of characters but "/", and `**` any number
 * of any characters. It takes time in proportion to the length of the text times that of the glob at most; a regular
 * expression made of somebody's glob could take for ever.
 */
export function globMatcher(glob: string): (text: string) => boolean {
  const tokens = tokenize(glob);
  // At each place: 1 if the tokens before it match the text read so far.
  let states = new Uint8Array(tokens.length + 1);
  let next = new Uint8Array(tokens.length + 1);
  return (text) => {
    states.fill(0);
    states[0] = 1;
    passEmpty(states, tokens);
    for (const character of text) {
      next.fill(0);
      step(character.codePointAt(0) ?? 0);
      passEmpty(next, tokens);
      [states, next] = [next, states];
    }
    return states[tokens.length] === 1;
  };

  function step(codePoint: number): void {
    for (let place = 0; place < tokens.length; place += 1) {
      if (states[place] === 0) continue;
      const token = tokens[place];
      if (token === any || (token === segment && codePoint !== slash)) next[place] = 1;
      else if (token === codePoint || (token === one && codePoint !== slash)) next[place + 1] = 1;
    }
  }
}

function tokenize(glob: string): Int32Array {
  const parts = glob.match(/\*+|[^*]/gu) ?? [];
  return Int32Array.from(parts, (part) => {
    if (part.startsWith('**')) return any;
    if (part === '*') return segment;
    return part === '?' ? one : (part.codePointAt(0) ?? 0);
  });
}

/** `*` and `**` may stand for nothing. */
function passEmpty(states: Uint8Array, tokens: Int32Array): void {
  for (let place = 0; place < tokens.length; place += 1) {
    const token = tokens[place];
    if (states[place] === 1 && (token === segment || token === any)) states[place + 1] = 1;
  }
}
