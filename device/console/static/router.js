// Where in the console one is stands in the address behind `#`, so that a reload comes back to the same place.

const ROUTES = [
  { name: "home", form: "home/:device?/:day?" },
  { name: "requests", form: "requests" },
  { name: "request", form: "request/:leaf" },
  { name: "review", form: "review/:leaf/:device" },
  { name: "ledger", form: "ledger" },
  { name: "settings", form: "settings" },
];

/**
 * Read an address.
 * @param {string} hash such as "#/request/ab12"
 * @returns {{name: string, parameters: Object<string, string>}} home for whatever is not an address of ours
 */
export function routeOf(hash) {
  const parts = hash.replace(/^#?\/?/, "").split("/").filter(Boolean);
  for (const { name, form } of ROUTES) {
    const [first, ...wanted] = form.split("/");
    const given = parts.slice(1);
    const needed = wanted.filter((one) => !one.endsWith("?")).length;
    if (parts[0] === first && given.length >= needed && given.length <= wanted.length) {
      const pairs = given.map((value, at) => [wanted[at].replace(/[:?]/g, ""), decoded(value)]);
      return { name, parameters: Object.fromEntries(pairs) };
    }
  }
  return { name: "home", parameters: {} };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a lone % that somebody typed
  }
}

const address = (...parts) => `#/${parts.filter(Boolean).map(encodeURIComponent).join("/")}`;

/** The address of each place. */
export const hrefs = Object.freeze({
  home: (device = "", day = "") => address("home", device, device && day),
  requests: () => address("requests"),
  request: (leaf) => address("request", leaf),
  review: (leaf, device) => address("review", leaf, device),
  ledger: () => address("ledger"),
  settings: () => address("settings"),
});

/** Go to an address; with `quietly` in the place of the present one, and without drawing anything again. */
export function go(href, { quietly = false } = {}) {
  if (quietly) {
    history.replaceState(null, "", href);
  } else if (location.hash === href) {
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = href;
  }
}
