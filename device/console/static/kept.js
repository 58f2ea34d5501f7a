// What this tab keeps of a choice until it is decided, so that a reload comes back to it: times and boxes, no pictures.
// All of it is forgotten when the console locks.

const PREFIX = "latchstring.review.";
const FORGOTTEN = "latchstring.forgotten";

/** What is kept of one device's answer to one request. */
export class Kept {
  #name;

  constructor(leaf, device) {
    this.#name = `${PREFIX}${leaf}.${device}`;
  }

  read() {
    return JSON.parse(sessionStorage.getItem(this.#name) ?? "{}");
  }

  /** Change some of it. */
  write(changes) {
    sessionStorage.setItem(this.#name, JSON.stringify({ ...this.read(), ...changes }));
  }

  forget() {
    sessionStorage.removeItem(this.#name);
  }
}

/** Forget everything, of all requests; only that there was something stays, so that the page can say so. */
export function forgetChoices() {
  const names = Object.keys(sessionStorage).filter((name) => name.startsWith(PREFIX));
  if (names.some((name) => JSON.parse(sessionStorage.getItem(name)).parts?.some(({ chosen }) => chosen))) {
    sessionStorage.setItem(FORGOTTEN, "yes");
  }
  names.forEach((name) => sessionStorage.removeItem(name));
}

/** Whether a lock has made this tab forget a choice; told once. */
export function wasForgotten() {
  const was = sessionStorage.getItem(FORGOTTEN) !== null;
  sessionStorage.removeItem(FORGOTTEN);
  return was;
}
