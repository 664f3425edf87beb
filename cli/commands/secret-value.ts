import { CliError } from "../errors.ts";

/** What requests carry: text, and for files the bytes too, as not every file is text. */
export interface GivenSecretValue {
  readonly value: string;
  /** Base64. */
  readonly rawValue?: string;
}

/**
 * The value without white space at its ends, unless a flag keeps it. Both forms are trimmed alike: servers prefer
 * the bytes, and a file's last newline is hardly ever part of a password.
 * @throws {CliError} when nothing is left
 */
export function trimmedSecret(bytes: Buffer, { trim, isFile }: { trim: boolean; isFile: boolean }): GivenSecretValue {
  const kept = trim ? trimBytes(bytes) : bytes;
  if (kept.length === 0) throw new CliError("the value of a secret must not be empty");
  return { value: kept.toString("utf8"), ...(isFile && { rawValue: kept.toString("base64") }) };
}

function trimBytes(bytes: Buffer): Buffer {
  const isSpace = (byte: number | undefined) => byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
  let [start, end] = [0, bytes.length];
  while (start < end && isSpace(bytes[start])) start += 1;
  while (end > start && isSpace(bytes[end - 1])) end -= 1;
  return bytes.subarray(start, end);
}
