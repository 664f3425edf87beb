import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";
import { parseSchedule, requireTimeZone, type Schedule } from "./schedule.ts";
import { parseTickHeaders, type TickHeaders } from "./tick-headers.ts";

/** The topic of functions that are called by the clock, as OpenFaaS's cron connector has it. */
export const CRON_TOPIC = "cron-function";
const SCHEDULE = "schedule";
const TIME_ZONE = "timezone";
const PREFIX = "com.faaslane.cron.";
const OVERLAPS = ["allow", "skip", "queue"] as const;
/** What is missed at most and caught up, and schedules of one function. */
const MAX_CATCH_UP = 1_000;
const MAX_SCHEDULES = 50;
const MAX_JITTER_MS = 3600_000;
const MAX_BODY_CHARS = 64 * 1024;
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]{1,100}\/[\w!#$%&'*+.^`|~-]{1,100}(?:[ \t]*;[\x20-\x7e]{0,200})?$/;

/** How a function is called by the clock. */
export interface CronSettings {
  readonly schedules: readonly Schedule[];
  /** A call is put off by at most so much, in milliseconds. */
  readonly jitterMs: number;
  /** What becomes of a call whose predecessor is not over. */
  readonly overlap: (typeof OVERLAPS)[number];
  /** How many of the times are made up for that passed while nobody watched, the newest ones. */
  readonly catchUp: number;
  readonly suspended: boolean;
  readonly body?: string;
  readonly contentType?: string;
  /** Of a call. */
  readonly headers?: TickHeaders;
}

type Annotations = Readonly<Record<string, string>>;

/** What is said of a schedule, as text; what is not said is undefined. */
export interface WrittenCron {
  /** Several with `;` between. */
  readonly schedule?: string | undefined;
  readonly timezone?: string | undefined;
  readonly jitter?: string | undefined;
  readonly overlap?: string | undefined;
  readonly catchUp?: string | undefined;
  readonly suspend?: string | undefined;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  /** A JSON object of names and texts. */
  readonly headers?: string | undefined;
}

const ANNOTATIONS: Readonly<Record<keyof WrittenCron, string>> = {
  schedule: SCHEDULE,
  timezone: TIME_ZONE,
  jitter: `${PREFIX}jitter`,
  overlap: `${PREFIX}overlap`,
  catchUp: `${PREFIX}catch-up`,
  suspend: `${PREFIX}suspend`,
  body: `${PREFIX}body`,
  contentType: `${PREFIX}content-type`,
  headers: `${PREFIX}headers`,
};

/** Whether the annotations ask for calls by the clock. */
export function wantsCron({ topic = "", [SCHEDULE]: schedule }: Annotations): boolean {
  return schedule !== undefined && topic.split(",").some((item) => item.trim() === CRON_TOPIC);
}

/** Whether the annotations put off all calls. */
export function isCronSuspended(annotations: Annotations): boolean {
  return annotations[ANNOTATIONS.suspend]?.trim() === "true";
}

/** Those of a function's annotations that {@link readCronSettings} reads. */
export function cronAnnotations(annotations: Annotations): Annotations {
  const said = Object.values(ANNOTATIONS).filter((name) => annotations[name] !== undefined);
  return Object.fromEntries(said.map((name) => [name, annotations[name] as string]));
}

/**
 * Reads `schedule`, `timezone` and `com.faaslane.cron.*`.
 * @throws {FaasError} `invalid` with every annotation that cannot be read, and its rule
 */
export function readCronSettings(annotations: Annotations): CronSettings {
  const written = Object.entries(ANNOTATIONS).map(([setting, name]) => [setting, annotations[name]]);
  return parseCronSettings(Object.fromEntries(written), ANNOTATIONS);
}

/**
 * @param names what the settings are called where they were written
 * @throws {FaasError} `invalid` with every setting that cannot be read, and its rule
 */
export function parseCronSettings(
  written: WrittenCron,
  names: Readonly<Partial<Record<keyof WrittenCron, string>>> = {},
): CronSettings {
  const problems: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const refuse = (setting: keyof WrittenCron, rule: string) =>
    void problems.push(`${names[setting] ?? setting}: ${rule}`);
  const timeZone = written.timezone?.trim() || "UTC";
  attempt(() => requireTimeZone(timeZone));
  const texts = (written.schedule ?? "").split(";").filter((text) => text.trim() !== "");
  if (texts.length === 0) refuse("schedule", "is empty");
  if (texts.length > MAX_SCHEDULES) refuse("schedule", `has more than ${MAX_SCHEDULES} schedules`);
  // Each of them would say it of the zone once more.
  const isReadable = problems.length === 0;
  const schedules = isReadable
    ? texts.slice(0, MAX_SCHEDULES).flatMap((text) => attempt(() => parseSchedule(text, timeZone)) ?? [])
    : [];

  const jitterMs = parseGoDuration(written.jitter?.trim() ?? "0s");
  if (jitterMs === undefined || jitterMs > MAX_JITTER_MS)
    refuse("jitter", "must be a duration such as 30s, at most 1h");
  const overlap = OVERLAPS.find((each) => each === (written.overlap?.trim() ?? "allow"));
  if (!overlap) refuse("overlap", `must be one of ${OVERLAPS.join(", ")}`);
  const catchUp = parseCatchUp(written.catchUp?.trim() ?? "none");
  if (catchUp === undefined) refuse("catchUp", `must be none, last or all:N with N up to ${MAX_CATCH_UP}`);
  const suspend = written.suspend?.trim() ?? "false";
  if (suspend !== "true" && suspend !== "false") refuse("suspend", "must be true or false");
  const { body } = written;
  if ((body?.length ?? 0) > MAX_BODY_CHARS) refuse("body", `must have at most ${MAX_BODY_CHARS} characters`);
  const contentType = written.contentType?.trim();
  if (contentType !== undefined && !MEDIA_TYPE.test(contentType)) {
    refuse("contentType", "must be a media type such as application/json");
  }
  const headers = written.headers === undefined ? undefined : parseTickHeaders(written.headers);
  if (headers && "rule" in headers) refuse("headers", headers.rule);
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
  return {
    schedules,
    jitterMs: jitterMs ?? 0,
    overlap: overlap ?? "allow",
    catchUp: catchUp ?? 0,
    suspended: suspend === "true",
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { contentType }),
    ...(headers && "headers" in headers && { headers: headers.headers }),
  };
}

function parseCatchUp(text: string): number | undefined {
  if (text === "none") return 0;
  if (text === "last") return 1;
  const count = /^all:(\d{1,4})$/.exec(text)?.[1];
  return count !== undefined && Number(count) <= MAX_CATCH_UP ? Number(count) : undefined;
}
