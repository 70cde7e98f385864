/** One line that shows how far something is: rewritten in place on a terminal, else printed now and then. */
export interface ProgressLine {
  show(text: string): void;
  /** Ends the line, so that what follows starts on a new one. */
  done(): void;
}

const quietMs = 5000;

export function openProgressLine(stream: NodeJS.WriteStream): ProgressLine {
  let lastMs = Number.NEGATIVE_INFINITY;
  let shown = false;
  return {
    show(text) {
      if (stream.isTTY) stream.write(`\r\u001b[K${text.slice(0, stream.columns - 1)}`);
      else if (performance.now() - lastMs > quietMs) {
        lastMs = performance.now();
        stream.write(`${text}\n`);
      }
      shown = true;
    },
    done() {
      if (stream.isTTY && shown) stream.write('\n');
    },
  };
}
