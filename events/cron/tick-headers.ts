import { parseJson } from "../../contract/decode.ts";

export type TickHeaders = readonly (readonly [name: string, value: string])[];

const MAX_HEADERS = 20;
const MAX_VALUE_CHARS = 1_024;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/;
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
/** They are the platform's, belong to one connection, or would be a secret in an annotation. */
const OURS: ReadonlySet<string> = new Set([
  ...["authorization", "proxy-authorization", "cookie", "set-cookie", "host", "connection", "keep-alive", "te"],
  ...["transfer-encoding", "trailer", "upgrade", "expect", "content-length", "content-type", "content-encoding"],
  ...["prefer", "user-agent", "kn-namespace", "x-topic", "x-connector", "x-replay", "x-call-id", "x-function-version"],
]);

/**
 * Reads headers from a JSON object of names and texts.
 * @returns them, or the rule that the text breaks
 */
export function parseTickHeaders(text: string): { readonly headers: TickHeaders } | { readonly rule: string } {
  let given: unknown;
  try {
    given = parseJson(text, "headers", 1_000);
  } catch {
    given = undefined;
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return { rule: 'must be a JSON object of headers and their texts, such as {"X-Job": "nightly"}' };
  }
  const headers = Object.entries(given);
  if (headers.length > MAX_HEADERS) return { rule: `must have at most ${MAX_HEADERS} headers` };
  const seen = new Set<string>();
  for (const [name, value] of headers) {
    const shown = JSON.stringify(name.slice(0, 100));
    const lower = name.toLowerCase();
    if (!NAME.test(name)) return { rule: `${shown} is no header's name` };
    if (OURS.has(lower) || lower.startsWith("ce-")) return { rule: `${shown} is a header that cannot be set` };
    if (seen.has(lower)) return { rule: `${shown} is there twice` };
    seen.add(lower);
    if (typeof value !== "string" || value.length > MAX_VALUE_CHARS || !VALUE.test(value)) {
      return { rule: `${shown} must be a text of 1 to ${MAX_VALUE_CHARS} printable ASCII characters` };
    }
  }
  return { headers: headers as [string, string][] };
}
