import { parseGoDuration } from "../contract/duration.ts";
import { CliError } from "./errors.ts";

/** A duration as in Go (`1m30s`, `250ms`) or bare seconds, in milliseconds. @throws {CliError} naming `flag` */
export function parseDurationFlag(flag: string, text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
  if (ms !== undefined) return ms;
  throw new CliError(`${flag} must be a duration such as 30, 1m30s or 250ms, not ${JSON.stringify(text)}`);
}
