// A passkey asked for the console: the ceremony's options come from it, and the answer goes back in one object.

import { api } from "./api.js";
import { PasskeyError, usePasskey } from "./passkey.js";
import { texts } from "./texts.js";

/**
 * Ask a known passkey. Returns the "passkey" object of the API; throws ApiError or PasskeyError.
 * @param {"unlock"|"approve"} purpose
 * @param {{draft?: string, signal?: AbortSignal}} [how]
 */
export async function passkeyAnswer(purpose, { draft, signal } = {}) {
  const asked = draft === undefined ? { purpose } : { purpose, draft };
  const { options, ceremony } = await api("/api/passkeys/options", asked, { signal });
  return { ceremony, ...(await usePasskey(options, signal)) };
}

/** One line for a person about what went wrong with a passkey, or with the console. */
export function passkeyWords(error) {
  return error instanceof PasskeyError ? texts.passkey[error.code] : error.message;
}
