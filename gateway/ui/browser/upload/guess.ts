/** Files at the top of a handler that tell which template it was written for, the surest first. */
const SIGNS: readonly (readonly [file: RegExp, templates: readonly string[]])[] = [
  [/^Dockerfile$/, ["dockerfile"]],
  [/^handler\.ts$/, ["typescript"]],
  [/^(handler\.m?js|package\.json)$/, ["node", "node22", "node20"]],
  [/^(handler\.py|requirements\.txt)$/, ["python3-http", "python3"]],
  [/^(handler\.go|go\.mod)$/, ["golang-http", "golang-middleware"]],
  [/^handler(\.sh)?$/, ["bash"]],
  [/^index\.html$/, ["static"]],
];

/** The template that a handler seems to be for. @param templates those that there are */
export function guessTemplate(paths: readonly string[], templates: readonly string[]): string | undefined {
  for (const [file, names] of SIGNS) {
    if (!paths.some((path) => file.test(path))) continue;
    const found = names.find((name) => templates.includes(name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a function could be called whose files are in `folder`; empty when nothing of it can be used. */
export function nameFor(folder: string): string {
  return folder
    .toLowerCase()
    .replace(/\.zip$/, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|-$/g, "")
    .slice(0, 63)
    .replace(/-$/, "");
}
