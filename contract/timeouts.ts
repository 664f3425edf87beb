import { z } from "zod";
import { maybe } from "./decode.ts";
import { formatDuration, parseGoDuration } from "./duration.ts";

const ms = maybe(z.number().int().positive());

export const functionTimeouts = z.object({ execMs: ms, readMs: ms, writeMs: ms });
/** Limits of time that a function's environment sets, in milliseconds. What it does not set, or switches off, is absent. */
export type FunctionTimeouts = z.output<typeof functionTimeouts>;

/** How long gateways wait for the function, whatever its environment says: for those whose program has its limits elsewhere. */
export const TIMEOUT_ANNOTATION = "com.faaslane.timeout";

type Strings = Readonly<Record<string, string>>;

const VARIABLES = { execMs: "exec_timeout", readMs: "read_timeout", writeMs: "write_timeout" } as const;

/** With room for what comes on top, the longest that fits into a timer. */
const MAX_TIMEOUT_MS = 596 * 3600e3;
const RULE = "must be a duration such as 90s or 10m, more than 0 and at most 596h";

/** Milliseconds of a duration as in Go or of bare seconds; undefined for what is none. 0 switches a limit off. */
function parseLimit(text: string): number | undefined {
  const exact = /^\d+$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
  return exact === undefined ? undefined : Math.ceil(exact);
}

/** @returns undefined when `env` sets none */
export function readTimeouts(env: Strings): FunctionTimeouts | undefined {
  const limits: { -readonly [name in keyof FunctionTimeouts]: number } = {};
  for (const [field, variable] of Object.entries(VARIABLES) as [keyof typeof VARIABLES, string][]) {
    const limitMs = parseLimit(env[variable] ?? "");
    if (limitMs) limits[field] = Math.min(limitMs, MAX_TIMEOUT_MS);
  }
  return Object.keys(limits).length > 0 ? limits : undefined;
}

/** The annotation's value in milliseconds; undefined without one, and for one that breaks its rule. */
export function readTimeoutAnnotation(annotations: Strings): number | undefined {
  const limitMs = parseLimit(annotations[TIMEOUT_ANNOTATION] ?? "");
  return limitMs && limitMs <= MAX_TIMEOUT_MS ? limitMs : undefined;
}

/** A gateway's own part in how long it waits, in milliseconds. */
export interface WaitLimits {
  /** For functions that do not say how long they may take. */
  readonly timeoutMs: number;
  /** Never less than this, whatever a function says. Default 0. */
  readonly leastTimeoutMs?: number;
}

/** So that what a function's own watchdog says of a call that took too long arrives first. */
const SLACK_MS = 5_000;
/** Longer ones do not fit into a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Longest wait for the head of a function's answer, and between two pieces of its body, in milliseconds. */
export function answerTimeoutMs(
  { annotations, timeouts = {} }: { readonly annotations: Strings; readonly timeouts?: FunctionTimeouts | undefined },
  { timeoutMs, leastTimeoutMs = 0 }: WaitLimits,
): number {
  const told = readTimeoutAnnotation(annotations);
  if (told !== undefined) return Math.max(told, leastTimeoutMs);
  const own = Math.max(timeouts.execMs ?? 0, timeouts.writeMs ?? 0);
  return own > 0 ? Math.min(MAX_TIMER_MS, Math.max(timeoutMs, own + SLACK_MS)) : timeoutMs;
}

/** Why a deployment must be refused. */
export function timeoutProblems(annotations: Strings = {}): string[] {
  const text = annotations[TIMEOUT_ANNOTATION];
  if (text === undefined || readTimeoutAnnotation(annotations) !== undefined) return [];
  return [`annotations.${TIMEOUT_ANNOTATION}: "${text}" ${RULE}`];
}

/** What watchdogs take where `write_timeout` is not set. */
const DEFAULT_WRITE_MS = 30_000;

/**
 * Limits of a function that contradict each other, a sentence each that begins with the one that does not hold.
 * @param env all of its environment, as far as the provider knows it
 */
export function timeoutWarnings(env: Strings, annotations: Strings = {}): string[] {
  const { execMs, readMs, writeMs = DEFAULT_WRITE_MS } = readTimeouts(env) ?? {};
  const told = readTimeoutAnnotation(annotations);
  const own = Math.min(execMs ?? writeMs, writeMs);
  const say = formatDuration;
  const warnings = Object.values(VARIABLES).flatMap((name) => {
    const text = env[name] ?? "";
    const isDuration = text === "" || parseLimit(text) !== undefined;
    return isDuration ? [] : [`${name}: "${text}" is not a duration such as 90s or 10m`];
  });
  const write = `write_timeout${env.write_timeout ? "" : ", which is not set,"} ends the answer after ${say(writeMs)}`;
  if (execMs !== undefined && execMs > writeMs) warnings.push(`exec_timeout: ${say(execMs)} does not hold, ${write}`);
  if (readMs !== undefined && readMs > writeMs) warnings.push(`read_timeout: ${say(readMs)} does not hold, ${write}`);
  if (told !== undefined && own > told) {
    const name = own === execMs ? VARIABLES.execMs : VARIABLES.writeMs;
    warnings.push(`${name}: ${say(own)} does not hold, ${TIMEOUT_ANNOTATION} lets gateways give up after ${say(told)}`);
  }
  return warnings;
}
