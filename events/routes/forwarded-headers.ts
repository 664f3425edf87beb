import type { HeaderList } from "../store/event-store.ts";

/** Headers of an event's request that its subscribers get too: none that say who sent it. */
const NAMES: ReadonlySet<string> = new Set(["x-request-id", "traceparent", "tracestate"]);
const PREFIXES = ["knative-", "x-b3-"] as const;
const MAX_HEADERS = 64;
const MAX_CHARS = 16 * 1024;

/** @param raw names and values in turns, as they came; what is too much is left out */
export function forwardedHeaders(raw: readonly string[]): HeaderList {
  const kept: [string, string][] = [];
  let chars = 0;
  for (let at = 0; at < raw.length && kept.length < MAX_HEADERS; at += 2) {
    const name = raw[at] as string;
    const value = raw[at + 1] as string;
    const lower = name.toLowerCase();
    if (!NAMES.has(lower) && !PREFIXES.some((prefix) => lower.startsWith(prefix))) continue;
    chars += name.length + value.length;
    if (chars > MAX_CHARS) break;
    kept.push([lower, value]);
  }
  return kept;
}
