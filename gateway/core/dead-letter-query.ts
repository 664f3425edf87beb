import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import { parseMoment, parseSpan } from "../../contract/instants.ts";
import { parseTarget } from "./function-path.ts";

/** Query parameters by name, as the last of each was given; empty ones left out. */
export type Parameters = Readonly<Record<string, string>>;

/** Which dead letters are meant. */
export interface DeadLetterSelection {
  readonly id?: string;
  readonly function?: FunctionRef;
  /** Died at or after, and before; milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
}

const FILTERS = ["id", "function", "namespace", "since", "until"] as const;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

/**
 * The parameters of `GET /system/queue/dead-letters`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readDeadLetterPage(given: Parameters, defaultNamespace: string, now: number) {
  refuseOthers(given, [...FILTERS, "limit", "after"]);
  const page = readPage(given);
  return { filter: readSelection(given, defaultNamespace, now), page };
}

/**
 * Which page of a list is meant, by `limit` and `after`.
 * @throws {FaasError} `invalid`
 */
export function readPage({ limit: text = String(DEFAULT_LIMIT), after }: Parameters) {
  const limit = Number(/^\d{1,9}$/.test(text) ? text : Number.NaN);
  if (!(limit >= 1 && limit <= MAX_LIMIT)) fail("limit", `must be a whole number from 1 to ${MAX_LIMIT}`);
  return { limit, ...(after !== undefined && { after }) };
}

/**
 * The parameters of what changes dead letters: a filter, or `all=true`. None at all is refused, as it would mean
 * everything.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readDeadLetterSelection(given: Parameters, defaultNamespace: string, now: number): DeadLetterSelection {
  refuseOthers(given, [...FILTERS, "all"]);
  if (given.all !== undefined && given.all !== "true" && given.all !== "false") fail("all", "must be true or false");
  const filter = readSelection(given, defaultNamespace, now);
  const filtered = Object.keys(filter).length > 0;
  if (given.all === "true" && filtered) fail("all", "must not be combined with a filter");
  if (given.all !== "true" && !filtered) fail("all", `must be true unless one of ${FILTERS.join(", ")} is given`);
  return filter;
}

/** @throws {FaasError} `invalid`: a misspelt filter must not select everything */
export function refuseOthers(given: Parameters, known: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) fail(unknown, `is unknown; there are ${known.join(", ")}`);
}

function readSelection(given: Parameters, defaultNamespace: string, now: number): DeadLetterSelection {
  const since = readTime("since", given.since, now);
  const until = readTime("until", given.until, now);
  if (since !== undefined && until !== undefined && until <= since) fail("until", "must be later than since");
  const ref = readFunction(given, defaultNamespace);
  return {
    ...(given.id !== undefined && { id: given.id }),
    ...(ref !== undefined && { function: ref }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

/**
 * The function that `function` and `namespace` name together.
 * @param given `function` may be `name.namespace`
 * @throws {FaasError} `invalid`
 */
export function readFunction(given: Parameters, defaultNamespace: string): FunctionRef | undefined {
  const { function: name, namespace } = given;
  if (name === undefined) return namespace === undefined ? undefined : fail("namespace", "needs function");
  if (!/^[-a-zA-Z_0-9.]+$/.test(name)) fail("function", "must be name or name.namespace");
  return namespace === undefined ? parseTarget(name, defaultNamespace) : { name, namespace };
}

/**
 * The parameters of what purges the queue: the function, which must be named.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readPurge(given: Parameters, defaultNamespace: string): FunctionRef {
  refuseOthers(given, ["function", "namespace"]);
  return readFunction(given, defaultNamespace) ?? fail("function", "must name the function whose calls are to go");
}

/** A moment, or a duration back from now. */
function readTime(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  const span = parseSpan(text);
  if (span === undefined)
    fail(name, "must be a time such as 2030-01-31T12:00:00Z or in Unix seconds, or a duration ago");
  return now - (span as number);
}

function fail(name: string, rule: string): never {
  throw new FaasError("invalid", `${name}: ${rule}`);
}
