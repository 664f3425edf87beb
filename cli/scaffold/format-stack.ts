/** What `new` writes into a stack file. */
export interface NewFunction {
  readonly name: string;
  readonly lang: string;
  readonly handler: string;
  readonly image: string;
  readonly limits: Resources;
  readonly requests: Resources;
}

interface Resources {
  readonly memory: string | undefined;
  readonly cpu: string | undefined;
}

/** A whole stack file with one function. */
export function formatStack(gateway: string, fn: NewFunction): string {
  return `version: 1.0
provider:
  name: openfaas
  gateway: ${scalar(gateway)}
functions:
${formatEntry(fn)}`;
}

/** One entry of `functions`, indented as it stands there. */
export function formatEntry({ name, lang, handler, image, limits, requests }: NewFunction): string {
  const lines = [`${name}:`, `  lang: ${scalar(lang)}`, `  handler: ${scalar(handler)}`, `  image: ${scalar(image)}`];
  for (const [title, values] of Object.entries({ limits, requests })) {
    const given = Object.entries(values).filter(([, value]) => value);
    if (given.length === 0) continue;
    lines.push(`  ${title}:`, ...given.map(([key, value]) => `    ${key}: ${scalar(value as string)}`));
  }
  return lines.map((line) => `  ${line}\n`).join("");
}

/** Quoted unless it is surely plain text in YAML; JSON strings are YAML strings. */
function scalar(text: string): string {
  return /^[\w./][\w./@:-]*$/.test(text) && !text.endsWith(":") ? text : JSON.stringify(text);
}
