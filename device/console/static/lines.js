// Who listens to what of the stream. Besides the console's own lines there are "lost" and "found": the console does not
// answer for longer than a lock takes, or answers again.

const LOST_MS = 3_000;

export class Lines {
  #handlers = new Map();
  #lost = false;
  #waiting = 0;

  /** Hear lines of a kind; returns what stops it. */
  on = (kind, handler) => {
    const handlers = this.#handlers.get(kind) ?? new Set();
    this.#handlers.set(kind, handlers.add(handler));
    return () => handlers.delete(handler);
  };

  /** Hand a line to all who listen. */
  tell = (line) => {
    [...(this.#handlers.get(line.kind) ?? [])].forEach((handler) => handler(line));
  };

  /** The stream came or went. */
  connection = (connected) => {
    clearTimeout(this.#waiting);
    if (connected && this.#lost) {
      this.#lost = false;
      this.tell({ kind: "found" });
    } else if (!connected && !this.#lost) {
      this.#waiting = setTimeout(() => {
        this.#lost = true;
        this.tell({ kind: "lost" });
      }, LOST_MS);
    }
  };
}
