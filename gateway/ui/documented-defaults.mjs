// What gateway/README.md says of the gateway's variables. A test holds its table against the loaders of the configuration.
const ROW = /^\| `([A-Za-z0-9_]+)`\s*\|([^|]*)\|/gm;

/** Defaults by the names of variables, as text; those without one are left out. */
export function readDefaults(readme) {
  const table = readme.slice(readme.indexOf("## Variables"));
  const rows = [...table.matchAll(ROW)].map(([, name, text]) => [name, plain(text)]);
  return Object.fromEntries(rows.filter(([, text]) => text !== ""));
}

/** Without the marks of Markdown. */
function plain(text) {
  return text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("`", "")
    .trim();
}
