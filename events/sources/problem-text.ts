import { clip } from "../../contract/clip.ts";

const MAX_CHARS = 500;
const MAX_CAUSES = 5;
const HIDDEN = "***";
/** Shorter ones are in too many words to be hidden. */
const MIN_SECRET_CHARS = 4;
const CREDENTIALS_IN_URL = /\b(\w+:\/\/)[^\s/@]+@/g;

/**
 * What went wrong, for people, without secrets.
 * @param secrets texts that the failure may quote
 */
export function problemText(thrown: unknown, secrets: Iterable<string> = []): string {
  return clip(withoutSecrets(describe(thrown), secrets), MAX_CHARS);
}

function describe(thrown: unknown): string {
  const said: string[] = [];
  for (let error = thrown, depth = 0; error !== undefined && error !== null && depth < MAX_CAUSES; depth++) {
    const { message, code, errors, cause } = error as {
      message?: unknown;
      code?: unknown;
      errors?: unknown;
      cause?: unknown;
    };
    const text = typeof error === "string" ? error : String(message || code || "");
    if (text !== "" && !said.some((before) => before.includes(text))) said.push(text);
    // Of several addresses that were tried, one says why.
    error = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return said.join(": ") || "failed";
}

function withoutSecrets(text: string, secrets: Iterable<string>): string {
  let hidden = text.replace(CREDENTIALS_IN_URL, `$1${HIDDEN}@`);
  for (const secret of secrets) {
    const lines = [secret, ...secret.split("\n")].map((line) => line.trim());
    for (const line of new Set(
      lines.flatMap((each) => [each, encodeURIComponent(each), Buffer.from(each).toString("base64")]),
    )) {
      if (line.length >= MIN_SECRET_CHARS) hidden = hidden.replaceAll(line, HIDDEN);
    }
  }
  return hidden;
}
