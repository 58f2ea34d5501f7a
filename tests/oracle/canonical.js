// Reads one JSON text a line; answers each with its RFC 8785 form, as the RFC builds it from ECMAScript.
const readline = require("node:readline");

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).sort(); // by UTF-16 code units
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => process.stdout.write(`${JSON.stringify(canonical(JSON.parse(line)))}\n`));
