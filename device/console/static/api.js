// The only door to the console's process. Its token lives in this tab's sessionStorage: no other tab, port or site has it.

import { texts } from "./texts.js";

const TOKEN = "latchstring.token";
const SLOWEST_RETRY_MS = 4_000;

/** Tells "closed" (no session: a link is needed) and "locked" (a passphrase is needed). */
export const session = new EventTarget();

/** What the console refused, or could not do. `message` is one line for a person. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 where nobody answered
   * @param {string} message
   * @param {Object<string, any>} [data] the whole answer, such as wait_s
   */
  constructor(status, message, data = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.data = data;
  }
}

/** Tell whether this tab has a session, as far as it knows. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** Exchange the secret of a one-time link for this tab's session. */
export async function openSession(link) {
  const { token } = await api("/api/session", { link });
  sessionStorage.setItem(TOKEN, token);
}

/**
 * Ask the console: GET without a body, POST with one. Returns the answer's JSON; throws ApiError.
 * @param {string} path such as "/api/state"
 * @param {Object<string, any>} [body]
 * @param {{signal?: AbortSignal, unattended?: boolean}} [how] `unattended`: the page asks by itself, and nobody need be
 *   there; it does not keep the console from locking
 */
export async function api(path, body = undefined, how = {}) {
  const answer = await send(path, body, how);
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) {
    return data;
  }
  throw refusal(answer.status, data);
}

async function send(path, body, { signal, unattended = false }) {
  const headers = new Headers({ Accept: "application/json" });
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) {
    headers.set("Authorization", `Bearer ${token}`);
  }
  if (body !== undefined) {
    headers.set("Content-Type", "application/json");
  }
  if (unattended) {
    headers.set("X-Unattended", "1");
  }
  const method = body === undefined ? "GET" : "POST";
  try {
    return await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new ApiError(0, texts.errors.noAnswer);
  }
}

function refusal(status, data) {
  if (status === 401) {
    sessionStorage.removeItem(TOKEN);
    session.dispatchEvent(new Event("closed"));
  } else if (status === 423) {
    session.dispatchEvent(new Event("locked"));
  }
  return new ApiError(status, data.error ?? texts.errors.unknown(status), data);
}

/**
 * Keep the one stream open, and hand over each line. It comes back by itself; without a session it ends.
 * @param {(line: {kind: string}) => void} onLine
 * @param {(connected: boolean) => void} onChange told when the stream comes and goes
 * @returns {() => void} stops it
 */
export function stream(onLine, onChange = () => {}) {
  const stopped = new AbortController();
  keepReading(onLine, onChange, stopped.signal);
  return () => stopped.abort();
}

async function keepReading(onLine, onChange, signal) {
  let wait_ms = 250;
  while (!signal.aborted) {
    try {
      const answer = await send("/api/stream", undefined, { signal, unattended: true });
      if (answer.ok) {
        wait_ms = 250;
        onChange(true);
        await readLines(answer.body, onLine);
      } else if (answer.status === 401) {
        refusal(401, {});
        return;
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (!(error instanceof ApiError || error instanceof TypeError || error instanceof SyntaxError)) {
        throw error; // a mistake of ours; the network's own are TypeErrors
      }
    }
    onChange(false);
    await new Promise((resolve) => { setTimeout(resolve, wait_ms); });
    wait_ms = Math.min(SLOWEST_RETRY_MS, wait_ms * 2);
  }
}

async function readLines(body, onLine) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter(Boolean).forEach((line) => onLine(JSON.parse(line)));
  }
}
