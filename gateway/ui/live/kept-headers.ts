import { HIDDEN, redactValue } from "../../../contract/redaction.ts";
import { DELIVERY } from "../../policies/identity-headers.ts";

/** Headers by name, or names and values in turn. */
export type KeptHeaders = Readonly<Record<string, string | readonly string[] | undefined>> | readonly string[];

/** Of one call, for each direction. */
const MAX_CHARS = 4_096;
const MAX_HEADERS = 64;
const MAX_VALUE_CHARS = 256;
/** What each header takes beside its text. */
const HEADER_CHARS = 32;

/**
 * Headers as they are kept: as they are, and of large ones a copy of what fits.
 * @returns with how many characters they have
 */
export function boundHeaders(headers: KeptHeaders): { readonly headers: KeptHeaders; readonly chars: number } {
  const chars = charsOf(headers);
  return chars > MAX_CHARS ? shortened(headers) : { headers, chars };
}

/** With something for each, so that many short ones are too large as well. Called for each call that is kept. */
function charsOf(headers: KeptHeaders): number {
  let chars = 0;
  if (isFlat(headers)) {
    for (const text of headers) chars += text.length + HEADER_CHARS / 2;
    return chars;
  }
  for (const name in headers) {
    const value = headers[name];
    chars += name.length + HEADER_CHARS;
    if (typeof value === "string") chars += value.length;
    else for (const one of value ?? []) chars += one.length + HEADER_CHARS;
  }
  return chars;
}

function shortened(headers: KeptHeaders): { readonly headers: string[]; readonly chars: number } {
  const kept: string[] = [];
  let chars = 0;
  for (const [name, value] of pairsOf(headers)) {
    if (kept.length >= 2 * MAX_HEADERS) break;
    const short = value.length > MAX_VALUE_CHARS ? `${value.slice(0, MAX_VALUE_CHARS)}…` : value;
    const more = name.length + short.length + HEADER_CHARS;
    if (name.length > MAX_VALUE_CHARS || chars + more > MAX_CHARS) continue;
    chars += more;
    // A piece of a string keeps all of it.
    kept.push(name, short === value ? value : Buffer.from(short).toString());
  }
  return { headers: kept, chars };
}

/** Headers as they may be shown: without what anybody is known by, and without queries. */
export function shownHeaders(headers: KeptHeaders): Record<string, string> {
  const shown = new Map<string, string>();
  for (const [name, value] of pairsOf(headers)) {
    const lower = name.toLowerCase();
    const safe = lower === DELIVERY ? HIDDEN : withoutQuery(redactValue(lower, value));
    const before = shown.get(lower);
    shown.set(lower, before === undefined || before === HIDDEN ? safe : `${before}, ${safe}`);
  }
  return Object.fromEntries(shown);
}

/** Of a value that is an address. */
function withoutQuery(value: string): string {
  return /^(\/|[a-z][a-z0-9+.-]{0,30}:\/\/)/i.test(value) ? value.replace(/\?.*$/s, `?${HIDDEN}`) : value;
}

function* pairsOf(headers: KeptHeaders): Generator<readonly [name: string, value: string]> {
  if (isFlat(headers)) {
    for (let place = 0; place + 1 < headers.length; place += 2) {
      yield [headers[place] as string, String(headers[place + 1])];
    }
    return;
  }
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === "string") yield [name, value];
    else for (const one of value ?? []) yield [name, one];
  }
}

function isFlat(headers: KeptHeaders): headers is readonly string[] {
  return Array.isArray(headers);
}
