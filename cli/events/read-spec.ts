import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "../errors.ts";
import { type Io, readAll } from "../io.ts";

const LIMIT_BYTES = 1024 ** 2;

/**
 * What a file declares: one object as YAML or JSON.
 * @param file `-` for standard input
 * @throws {CliError} beginning with `file:line:column`
 */
export async function readSpecFile(io: Io, file: string): Promise<Record<string, unknown>> {
  const text = file === "-" ? (await readAll(io.stdin, LIMIT_BYTES)).toString() : await readText(io, file);
  const { YamlReader } = await import("../stack/yaml-reader.ts");
  const reader = new YamlReader(text, file);
  const spec = reader.json(reader.root);
  if (typeof spec === "object" && spec !== null && !Array.isArray(spec)) return spec as Record<string, unknown>;
  return reader.fail(reader.root, "must be a mapping");
}

async function readText(io: Io, file: string): Promise<string> {
  try {
    return await readFile(resolve(io.cwd, file), "utf8");
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (cause as Error).message;
    throw new CliError(`cannot read ${file}: ${why}`, { cause });
  }
}

/**
 * Settings of `key=value` flags: numbers, `true`, `false` and JSON are what they are, anything else is text; `a.b=1` is a field of
 * an object.
 * @param secrets `key=NAME` or `key=NAME/KEY`: a secret's value goes there
 * @throws {CliError}
 */
export function settingsOf(
  pairs: readonly (readonly [string, string])[],
  secrets: readonly (readonly [string, string])[] = [],
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const [key, text] of pairs) put(settings, key, settingValue(text));
  for (const [key, text] of secrets) {
    const [secret = "", name] = text.split(/\/(.*)/s);
    put(settings, key, { secret, ...(name !== undefined && { key: name }) });
  }
  return settings;
}

function put(into: Record<string, unknown>, key: string, value: unknown): void {
  const names = key.split(".");
  const last = names.pop() as string;
  if ([...names, last].some((name) => name === "" || name === "__proto__")) throw new CliError(`${key}: is no setting`);
  let at = into;
  for (const name of names) {
    const below = Object.hasOwn(at, name) ? at[name] : {};
    if (typeof below !== "object" || below === null) throw new CliError(`${key}: ${name} has a value already`);
    at[name] = below;
    at = below as Record<string, unknown>;
  }
  at[last] = value;
}

function settingValue(text: string): unknown {
  if (!/^(true|false|-?(0|[1-9]\d*)(\.\d+)?|[[{"].*)$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `NAME`, `NAME@VERSION`, `broker/NAME`, `sink/NAME` or a URL, as the gateway takes subscribers. */
export function parseSubscriberFlag(text: string): Record<string, string> {
  if (/^https?:\/\//i.test(text)) return { uri: text };
  const [kind, name] = text.split(/\/(.*)/s);
  if (name !== undefined && (kind === "broker" || kind === "sink" || kind === "function")) return { [kind]: name };
  return { function: text };
}
