import { CliError } from "./errors.ts";

/** `key=value` flags, split at the first `=`. @throws {CliError} when key or value is empty */
export function parsePairs(flag: string, texts: readonly string[] = []): [string, string][] {
  return texts.map((text) => {
    const at = text.indexOf("=");
    const [key, value] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || value === "") throw new CliError(`${flag} must be key=value, neither of them empty`);
    return [key, value];
  });
}

/** As {@link parsePairs}; of one key the last value counts. */
export function parseRecord(flag: string, texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(parsePairs(flag, texts));
}
