// Passkeys in the browser: a ceremony's options come as JSON, its answer and the secret that opens the key go back.
// The secret (PRF) is 32 bytes that the authenticator computes; it is kept nowhere in the page.

/** Why a passkey was not added or used. `code` is one of codes; texts.js words it. */
export class PasskeyError extends Error {
  /** @param {string} code @param {unknown} [cause] */
  constructor(code, cause = undefined) {
    super(code, { cause });
    this.name = "PasskeyError";
    this.code = code;
  }
}

/**
 * cancelled: the person said no, or waited too long. known: this authenticator has a passkey of this console already.
 * no-prf: it can't compute a secret. not-supported: this browser or authenticator can't do it. security: this page may
 * not, since it was not opened at localhost. failed: anything else.
 */
export const codes = ["cancelled", "known", "no-prf", "not-supported", "security", "failed"];

const CODE_OF = {
  AbortError: "cancelled",
  NotAllowedError: "cancelled",
  InvalidStateError: "known",
  ConstraintError: "not-supported",
  NotSupportedError: "not-supported",
  SecurityError: "security",
};
const PRF_BYTES = 32;

/** Tell whether it makes sense to offer passkeys: the browser has them, and this page's address may use them. */
export function canUsePasskeys() {
  return isSecureContext && location.hostname === "localhost" && "PublicKeyCredential" in window;
}

/**
 * Make a passkey. Some authenticators tell the secret only when they are asked for it: those ask the person twice.
 * @param {Object<string, any>} options as /api/passkeys/options gave them for "add"
 * @param {AbortSignal} [signal] gives up, as when a dialog is closed
 * @returns {Promise<{credential: Object<string, any>, prf: string}>} throws PasskeyError
 */
export async function addPasskey(options, signal = undefined) {
  const publicKey = creationFrom(options);
  const made = await ask(() => navigator.credentials.create({ publicKey, signal }));
  const said = made.getClientExtensionResults().prf;
  try {
    const secret = said?.results?.first ?? (said?.enabled ? await askSecret(made, publicKey, signal) : undefined);
    return { credential: described(made), prf: prfOf(secret) };
  } catch (error) {
    await forgetPasskey(made.id);
    throw error;
  }
}

/**
 * Use a passkey that the console knows.
 * @param {Object<string, any>} options as /api/passkeys/options gave them for "unlock" or "approve"
 * @param {AbortSignal} [signal]
 * @returns {Promise<{credential: Object<string, any>, prf: string}>} throws PasskeyError
 */
export async function usePasskey(options, signal = undefined) {
  const publicKey = requestFrom(options);
  const used = await ask(() => navigator.credentials.get({ publicKey, signal }));
  return { credential: described(used), prf: prfOf(used.getClientExtensionResults().prf?.results?.first) };
}

/**
 * Tell the browser that the console will not know a passkey any more, so that it need not be kept. A courtesy: where
 * the browser can't pass that on, the passkey stays there and opens nothing.
 * @param {string} id as in the console's list
 */
export async function forgetPasskey(id) {
  try {
    await PublicKeyCredential.signalUnknownCredential?.({ rpId: location.hostname, credentialId: id });
  } catch (error) {
    if (!(error instanceof DOMException || error instanceof TypeError)) {
      throw error;
    }
  }
}

/** base64url without padding, of an ArrayBuffer. */
export function toBase64url(buffer) {
  const text = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of unpadded base64url. */
export function fromBase64url(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

async function ask(question) {
  if (!navigator.credentials || !("PublicKeyCredential" in window)) {
    throw new PasskeyError("not-supported");
  }
  try {
    return await question();
  } catch (error) {
    throw new PasskeyError(CODE_OF[error?.name] ?? "failed", error);
  }
}

/** Ask a new passkey for its secret. What else it answers is for nobody: the challenge is thrown away. */
async function askSecret(made, creation, signal) {
  const publicKey = {
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    rpId: creation.rp.id,
    allowCredentials: [{ type: "public-key", id: made.rawId, transports: transportsOf(made) }],
    userVerification: "required",
    timeout: creation.timeout,
    extensions: creation.extensions,
  };
  const used = await ask(() => navigator.credentials.get({ publicKey, signal }));
  return used.getClientExtensionResults().prf?.results?.first;
}

function prfOf(secret) {
  if (secret?.byteLength !== PRF_BYTES) {
    throw new PasskeyError("no-prf");
  }
  return toBase64url(secret);
}

function creationFrom(options) {
  return {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: descriptors(options.excludeCredentials),
    extensions: { prf: { eval: values(options.extensions.prf.eval) } },
  };
}

function requestFrom(options) {
  const salts = Object.entries(options.extensions.prf.evalByCredential);
  return {
    ...options,
    challenge: fromBase64url(options.challenge),
    allowCredentials: descriptors(options.allowCredentials),
    extensions: { prf: { evalByCredential: Object.fromEntries(salts.map(([id, salt]) => [id, values(salt)])) } },
  };
}

function values({ first }) {
  return { first: fromBase64url(first) };
}

function descriptors(given = []) {
  return given.map((one) => ({ ...one, id: fromBase64url(one.id) }));
}

/** A credential as JSON, without what extensions said: the secret goes beside it. */
function described(credential) {
  const { response } = credential;
  const told = { clientDataJSON: toBase64url(response.clientDataJSON) };
  if ("attestationObject" in response) {
    told.attestationObject = toBase64url(response.attestationObject);
    told.transports = transportsOf(credential);
  } else {
    told.authenticatorData = toBase64url(response.authenticatorData);
    told.signature = toBase64url(response.signature);
  }
  return { id: credential.id, rawId: toBase64url(credential.rawId), type: credential.type, response: told };
}

function transportsOf(made) {
  return made.response.getTransports?.() ?? [];
}
