import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";
import { parseSchedule, requireTimeZone, type Schedule } from "./schedule.ts";

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
}

type Annotations = Readonly<Record<string, string>>;

/** Whether the annotations ask for calls by the clock. */
export function wantsCron({ topic = "", [SCHEDULE]: schedule }: Annotations): boolean {
  return schedule !== undefined && topic.split(",").some((item) => item.trim() === CRON_TOPIC);
}

/**
 * Reads `schedule`, `timezone` and `com.faaslane.cron.*`.
 * @throws {FaasError} `invalid` with every annotation that cannot be read, and its rule
 */
export function readCronSettings(annotations: Annotations): CronSettings {
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
  const refuse = (setting: string, rule: string) => void problems.push(`${PREFIX}${setting}: ${rule}`);
  const timeZone = annotations[TIME_ZONE]?.trim() || "UTC";
  attempt(() => requireTimeZone(timeZone));
  const texts = (annotations[SCHEDULE] ?? "").split(";").filter((text) => text.trim() !== "");
  if (texts.length === 0) problems.push(`${SCHEDULE}: is empty`);
  if (texts.length > MAX_SCHEDULES) problems.push(`${SCHEDULE}: has more than ${MAX_SCHEDULES} schedules`);
  // Each of them would say it of the zone once more.
  const isReadable = problems.length === 0;
  const schedules = isReadable
    ? texts.slice(0, MAX_SCHEDULES).flatMap((text) => attempt(() => parseSchedule(text, timeZone)) ?? [])
    : [];
  const read = (setting: string) => annotations[PREFIX + setting];

  const jitterMs = parseGoDuration(read("jitter")?.trim() ?? "0s");
  if (jitterMs === undefined || jitterMs > MAX_JITTER_MS)
    refuse("jitter", "must be a duration such as 30s, at most 1h");
  const overlap = OVERLAPS.find((each) => each === (read("overlap")?.trim() ?? "allow"));
  if (!overlap) refuse("overlap", `must be one of ${OVERLAPS.join(", ")}`);
  const catchUp = parseCatchUp(read("catch-up")?.trim() ?? "none");
  if (catchUp === undefined) refuse("catch-up", `must be none, last or all:N with N up to ${MAX_CATCH_UP}`);
  const suspend = read("suspend")?.trim() ?? "false";
  if (suspend !== "true" && suspend !== "false") refuse("suspend", "must be true or false");
  const body = read("body");
  if ((body?.length ?? 0) > MAX_BODY_CHARS) refuse("body", `must have at most ${MAX_BODY_CHARS} characters`);
  const contentType = read("content-type")?.trim();
  if (contentType !== undefined && !/^[\x21-\x7e][\x20-\x7e]{0,200}$/.test(contentType)) {
    refuse("content-type", "must be printable ASCII");
  }
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
  return {
    schedules,
    jitterMs: jitterMs ?? 0,
    overlap: overlap ?? "allow",
    catchUp: catchUp ?? 0,
    suspended: suspend === "true",
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { contentType }),
  };
}

function parseCatchUp(text: string): number | undefined {
  if (text === "none") return 0;
  if (text === "last") return 1;
  const count = /^all:(\d{1,4})$/.exec(text)?.[1];
  return count !== undefined && Number(count) <= MAX_CATCH_UP ? Number(count) : undefined;
}
