/**
 * What a caller says of the trace that its call belongs to.
 * @see https://www.w3.org/TR/trace-context/
 */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the caller's span: 16 hexadecimal digits. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** What tracing systems have added for themselves; empty for nothing. */
  readonly state: string;
}

const TRACEPARENT = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
/** A traceparent of a version to come may be longer than ours, but not without end. */
const MAX_TRACEPARENT_CHARS = 256;
const CHARS = 55;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
const SAMPLED = 1;

/** As much of it as everybody has to pass on. */
const MAX_STATE_CHARS = 512;
const MAX_STATE_MEMBERS = 32;
/** What is longer goes first where room is short. */
const LONG_MEMBER_CHARS = 128;
/** More is not looked at. */
const MAX_READ_CHARS = 16 * 1024;

const KEY = String.raw`[a-z][a-z\d_\-*/]{0,255}|[a-z\d][a-z\d_\-*/]{0,240}@[a-z][a-z\d_\-*/]{0,13}`;
const MEMBER = new RegExp(String.raw`^(${KEY})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])$`);

/**
 * The context in a request's headers; undefined where there is none or it is malformed, and a new trace begins.
 * Repeated headers come joined by a comma, which makes a traceparent malformed and a tracestate longer, as it should.
 */
export function readTraceContext(
  traceparent: string | undefined,
  tracestate: string | undefined,
): TraceContext | undefined {
  if (traceparent === undefined || traceparent.length > MAX_TRACEPARENT_CHARS) return undefined;
  const [whole, version, traceId, spanId, flags] = TRACEPARENT.exec(traceparent.trim()) ?? [];
  if (whole === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && whole.length !== CHARS)) return undefined;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  const sampled = (Number.parseInt(flags, 16) & SAMPLED) !== 0;
  return { traceId, spanId, sampled, state: tracestate === undefined ? "" : readTraceState(tracestate) };
}

/** A `tracestate` as it is passed on: nothing when it is malformed, and less where it is too long. */
export function readTraceState(text: string): string {
  if (text.length > MAX_READ_CHARS) return "";
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of text.split(",")) {
    const member = part.trim();
    if (member === "") continue;
    const key = MEMBER.exec(member)?.[1];
    if (key === undefined || keys.has(key) || members.length === MAX_STATE_MEMBERS) return "";
    keys.add(key);
    members.push(member);
  }
  let chars = members.reduce((sum, { length }) => sum + length + 1, -1);
  for (let i = members.length - 1; i >= 0 && chars > MAX_STATE_CHARS; i--) {
    const { length } = members[i] as string;
    if (length <= LONG_MEMBER_CHARS) continue;
    members.splice(i, 1);
    chars -= length + 1;
  }
  while (chars > MAX_STATE_CHARS) chars -= (members.pop() as string).length + 1;
  return members.join(",");
}

export function formatTraceparent({ traceId, spanId, sampled }: Omit<TraceContext, "state">): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** Headers of a request with another context in place of theirs. @param headers names and values in turn */
export function replaceContext(headers: readonly string[], context: TraceContext): string[] {
  const replaced: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!isContextHeader(name)) replaced.push(name, headers[i + 1] as string);
  }
  replaced.push("traceparent", formatTraceparent(context));
  if (context.state !== "") replaced.push("tracestate", context.state);
  return replaced;
}

function isContextHeader(name: string): boolean {
  switch (name.length) {
    case 11:
      return name.toLowerCase() === "traceparent";
    case 10:
      return name.toLowerCase() === "tracestate";
    default:
      return false;
  }
}
