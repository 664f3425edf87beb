import { parseGoDuration } from "../duration.ts";

/** Annotation that says by what callers are told apart, so that each stays with one version while calls are split. */
export const STICKY = "com.faaslane.sticky";
/** Annotation with how long a caller's cookie lasts. */
export const STICKY_TTL = "com.faaslane.sticky.ttl";
const DEFAULT_TTL_MS = 24 * 3_600_000;
const MAX_TTL_MS = 400 * 24 * 3_600_000;
const RULE = "must be cookie, header:NAME, query:NAME or off";

/** By what callers are told apart. */
export type Sticky =
  | { readonly kind: "cookie"; readonly ttlMs: number }
  /** @property name in lower case */
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "query"; readonly name: string };

export interface ParsedSticky {
  /** Absent where each call is for itself. */
  readonly sticky?: Sticky;
  /** A sentence for each annotation that cannot be read, with its name and rule. */
  readonly problems: readonly string[];
}

const HEADER = /^[!#$%&'*+.^_`|~\w-]{1,64}$/;
const PARAMETER = /^[\w.~-]{1,64}$/;

/** Reads `com.faaslane.sticky` and what belongs to it. */
export function parseSticky(annotations: Readonly<Record<string, string>> = {}): ParsedSticky {
  const problems = Object.keys(annotations).flatMap((name) =>
    name.startsWith(`${STICKY}.`) && name !== STICKY_TTL ? [`${name}: is unknown; there is ${STICKY_TTL}`] : [],
  );
  const ttlText = annotations[STICKY_TTL];
  const ttlMs = ttlText === undefined ? DEFAULT_TTL_MS : (parseGoDuration(ttlText.trim()) ?? 0);
  if (ttlMs < 1_000 || ttlMs > MAX_TTL_MS) {
    problems.push(`${STICKY_TTL}: must be a duration such as 24h, of 1s to 9600h`);
  }
  const text = annotations[STICKY]?.trim() ?? "off";
  const sticky = readSticky(text, ttlMs);
  if (sticky === undefined && text !== "off") problems.push(`${STICKY}: ${RULE}`);
  return { ...(sticky && { sticky }), problems };
}

function readSticky(text: string, ttlMs: number): Sticky | undefined {
  if (text === "cookie") return { kind: "cookie", ttlMs };
  const [, kind, name = ""] = /^(header|query):(.*)$/.exec(text) ?? [];
  if (kind === "header" && HEADER.test(name)) return { kind, name: name.toLowerCase() };
  return kind === "query" && PARAMETER.test(name) ? { kind, name } : undefined;
}
