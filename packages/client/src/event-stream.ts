/** An event of a stream of server-sent events (WHATWG HTML, 9.2). */
export interface StreamEvent {
  type: string;
  data: string;
  /** Of this event, or else of the last one that had any. */
  id: string;
}

/** The events of a stream's bytes. One that is cut off by the end is none. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  let event = { type: '', data: '' };
  let id = '';
  for await (const line of readLines(chunks)) {
    if (line === '') {
      if (event.data !== '') yield { type: event.type || 'message', data: event.data.slice(0, -1), id };
      event = { type: '', data: '' };
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === 'data') event.data += `${value}\n`;
    else if (field === 'event') event.type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
}

/** The lines of UTF-8 text, ended by LF, CR LF or CR; what follows the last end is none. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the end may be the first half of a CR LF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
