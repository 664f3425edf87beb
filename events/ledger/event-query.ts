import { FaasError } from "../../contract/errors.ts";
import { SELECTABLE_STATES } from "../../contract/events/replay-spec.ts";
import { parseMoment, parseSpan } from "../../contract/instants.ts";
import { isDnsLabel } from "../../contract/names.ts";
import type { EventPage, EventQuery } from "../store/event-store.ts";

/** Query parameters by name, as the last of each was given; empty ones left out. */
export type EventParameters = Readonly<Record<string, string>>;

const FILTERS = ["namespace", "broker", "id", "source", "type", "trigger", "state", "since", "until"] as const;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;
const MAX_TEXT_CHARS = 1_000;
/** Kinds of what has a trigger's identity, and how many names follow. */
const TRIGGER = /^(function|trigger|replay)\/[^/]+\/[^/]+$|^flow\/[^/]+\/[^/]+\/[^/]+$/;

/**
 * The parameters of `GET /system/events`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readEventPage(given: EventParameters, defaultNamespace: string, now: number) {
  refuseOthers(given, [...FILTERS, "limit", "after", "follow"]);
  const { limit: text = String(DEFAULT_LIMIT), after } = given;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(limit >= 1 && limit <= MAX_LIMIT)) fail("limit", `must be a whole number from 1 to ${MAX_LIMIT}`);
  const follow = readFlag("follow", given.follow);
  if (follow && given.until !== undefined) fail("until", "must not be combined with follow");
  const page: EventPage = { order: "newest", limit, ...(after !== undefined && { after }) };
  return { query: readQuery(given, defaultNamespace, now), page, follow };
}

/**
 * The parameters of `GET /system/events/ID` and what is below it.
 * @param others that there are besides
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readEventName(given: EventParameters, defaultNamespace: string, others: readonly string[] = []) {
  refuseOthers(given, ["namespace", "source", ...others]);
  const { namespace = defaultNamespace, source } = given;
  if (!isDnsLabel(namespace)) fail("namespace", "must be a DNS label");
  return { namespace, ...(source !== undefined && { source: bounded("source", source) }) };
}

function readQuery(given: EventParameters, defaultNamespace: string, now: number): EventQuery {
  const { namespace = defaultNamespace, broker, id, source, type, trigger, state } = given;
  if (!isDnsLabel(namespace)) fail("namespace", "must be a DNS label");
  if (broker !== undefined && !isDnsLabel(broker)) fail("broker", "must be a DNS label");
  const range = readRange(given, now);
  return {
    namespace,
    ...(broker !== undefined && { broker }),
    ...(id !== undefined && { id: bounded("id", id) }),
    ...(source !== undefined && { source: bounded("source", source) }),
    ...(type !== undefined && { type: bounded("type", type) }),
    ...(trigger !== undefined && { trigger: readTriggerName("trigger", trigger, namespace) }),
    ...(state !== undefined && { states: readStates(state) }),
    ...range,
  };
}

/**
 * From and before when; a duration is back from now.
 * @throws {FaasError} `invalid`
 */
export function readRange(
  given: { readonly since?: string | undefined; readonly until?: string | undefined },
  now: number,
): { readonly since?: number; readonly until?: number } {
  const since = readTime("since", given.since, now);
  const until = readTime("until", given.until, now);
  if (since !== undefined && until !== undefined && until <= since) fail("until", "must be later than since");
  return { ...(since !== undefined && { since }), ...(until !== undefined && { until }) };
}

function readTime(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  const span = parseSpan(text);
  if (span === undefined)
    fail(name, "must be a time such as 2030-01-31T12:00:00Z or in Unix seconds, or a duration ago");
  // Longer ago than there are dates is from the beginning.
  return Math.max(now - (span as number), 0);
}

function readStates(text: string): NonNullable<EventQuery["states"]> {
  return text.split(",").map((word) => {
    const state = SELECTABLE_STATES.find((known) => known === word.trim());
    return state ?? fail("state", `must be of ${SELECTABLE_STATES.join(", ")}, joined by commas`);
  });
}

/**
 * A trigger's identity; `KIND/NAME` is in `namespace`, and a name alone is a declared trigger's.
 * @throws {FaasError} `invalid`
 */
export function readTriggerName(field: string, text: string, namespace: string): string {
  const parts = text.split("/");
  const [first = "", second = ""] = parts;
  const whole =
    parts.length === 1
      ? `trigger/${namespace}/${first}`
      : parts.length === 2
        ? `${first}/${namespace}/${second}`
        : text;
  if (text.length > MAX_TEXT_CHARS || !TRIGGER.test(whole)) {
    fail(field, "must be trigger/NAME, function/NAME, flow/NAMESPACE/NAME/STEP, with the namespace before NAME or not");
  }
  return whole;
}

/** Whether an explanation is wanted as JSON. @throws {FaasError} `invalid` */
export function wantsJsonWhy({ format }: EventParameters): boolean {
  if (format !== undefined && format !== "json" && format !== "text") fail("format", "must be text or json");
  return format === "json";
}

function readFlag(name: string, text: string | undefined): boolean {
  if (text === undefined || text === "false") return false;
  return text === "true" || fail(name, "must be true or false");
}

function bounded(name: string, text: string): string {
  return text.length <= MAX_TEXT_CHARS ? text : fail(name, `must be at most ${MAX_TEXT_CHARS} characters`);
}

/** @throws {FaasError} `invalid`: a misspelt filter must not select everything */
function refuseOthers(given: EventParameters, known: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) fail(unknown, `is unknown; there are ${known.join(", ")}`);
}

function fail(name: string, rule: string): never {
  throw new FaasError("invalid", `${name}: ${rule}`);
}
