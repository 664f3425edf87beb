import { Cron } from "croner";
import { clip } from "./clip.ts";
import { parseJson } from "./decode.ts";
import { parseGoDuration } from "./duration.ts";

/** What a function is scaled by. */
export const SCALE_TYPES = ["rps", "capacity", "cpu", "queue", "custom"] as const;
export type ScaleType = (typeof SCALE_TYPES)[number];

/** How a function wants to be scaled, from its labels and annotations. */
export interface ScalePolicy {
  readonly type: ScaleType;
  /** Whether the function names its type; functions that alerts scale leave it out. */
  readonly typeGiven: boolean;
  /** PromQL expression of type `custom`. */
  readonly query?: string;
  /** Replicas while it is awake, at least 1. */
  readonly min: number;
  readonly max: number;
  /** Whether the function names its max. */
  readonly maxGiven: boolean;
  /** Load per replica: calls a second, calls in flight, milli-CPU, queued calls, or what the query counts. */
  readonly target: number;
  /** Share of `target` that may be used before a replica is added, and before one is taken away; 0–1. */
  readonly upProportion: number;
  readonly downProportion: number;
  /** Whether it may sleep, and after how long without any call. */
  readonly zero: boolean;
  readonly zeroDurationMs: number;
  /** Percent of `max` that an alert adds. */
  readonly factor: number;
  /** Load is averaged over this; over `panicWindowMs` to see a burst. */
  readonly windowMs: number;
  readonly panicWindowMs: number;
  /** Wish to replicas from which a burst is a panic, e.g. 2. */
  readonly panicThreshold: number;
  /** Largest factor up, and divisor down, in one step; above 1. */
  readonly upRate: number;
  readonly downRate: number;
  /** A higher desired number must last so long; a lower one too. */
  readonly upDelayMs: number;
  readonly downDelayMs: number;
  /** Further calls in flight to keep room for. */
  readonly burst: number;
  /** Replica floor until it was first reached. */
  readonly initial: number;
  /** Least replicas when it wakes. */
  readonly activation: number;
  /** Calls that may wait for a replica; absent: the gateway's limit. */
  readonly queueSize?: number;
  readonly windows: readonly ScaleWindow[];
  /** Whether replicas that do not help are taken back; absent where the function does not say. */
  readonly checkGain?: boolean;
  /** Whether the function names its target. */
  readonly targetGiven: boolean;
  /** Whether a replica is kept when past days say that a call is likely. */
  readonly prewarm: boolean;
}

/** Other bounds for a time that comes again. */
export interface ScaleWindow {
  /** Five or six cron fields: when it begins. */
  readonly schedule: string;
  readonly durationMs: number;
  readonly min: number;
  readonly max?: number;
  /** IANA name. */
  readonly timeZone: string;
}

export interface ParsedScalePolicy {
  readonly policy: ScalePolicy;
  /** What was left out of account, a sentence each with the field and its rule. */
  readonly problems: readonly string[];
}

type Strings = Readonly<Record<string, string>>;

/** Defaults of the platform where a function says nothing. */
export interface ScaleDefaults {
  readonly target: number;
  readonly max: number;
}

export const SCALE_DEFAULTS: ScaleDefaults = { target: 50, max: 20 };

const OPENFAAS = "com.openfaas.scale.";
const FAASLANE = "com.faaslane.scale.";
/** Spellings that published articles use. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["com.openfaas.scale.mode", `${OPENFAAS}type`],
  ["com.openfaas.scale.proportion", `${OPENFAAS}target-proportion`],
  ["com.openfaas.min.scale", `${OPENFAAS}min`],
  ["com.openfaas.max.scale", `${OPENFAAS}max`],
]);
const KNOWN = new Set([
  ...["type", "target", "target-proportion", "min", "max", "zero", "zero-duration", "factor", "down.window"].map(
    (name) => OPENFAAS + name,
  ),
  ...["query", "window", "panic-window", "panic-threshold", "up-rate", "down-rate", "up-delay", "down-delay"].map(
    (name) => FAASLANE + name,
  ),
  ...["down-proportion", "burst", "initial", "activation", "windows", "prewarm", "check-gain"].map(
    (name) => FAASLANE + name,
  ),
]);
const CHECK_GAIN = `${FAASLANE}check-gain`;
const QUEUE_SIZE = "com.faaslane.queue.size";
const QUEUE_SIZES = [1, 1_000_000] as const;

const HOUR_MS = 3600_000;
/** OpenFaaS looks at the largest load of the last 45 s for `capacity`, at the rate of the last 30 s for `rps`. */
const DOWN_DELAY_MS: Readonly<Record<ScaleType, number>> = {
  capacity: 45_000,
  rps: 30_000,
  cpu: 30_000,
  queue: 30_000,
  custom: 30_000,
};
const MAX_WINDOWS = 20;
const MAX_WINDOWS_CHARS = 16 * 1024;
const MAX_QUERY_CHARS = 16 * 1024;

/** Whether `text` may be a number, a duration, a schedule or a time zone; none is nearly as long. */
const isShort = (text: string) => text.length <= 200;

/** Reads settings, notes what is wrong with them, and goes on with the default. */
class Settings {
  readonly problems: string[] = [];
  readonly #values = new Map<string, string>();

  constructor(labels: Strings, annotations: Strings) {
    const given = new Map([...Object.entries(annotations), ...Object.entries(labels)]);
    for (const [name, value] of given) {
      const real = ALIASES.get(name) ?? name;
      if (name !== real && given.has(real)) continue;
      if (/^com\.(openfaas|faaslane)\.scale\./.test(real) && !KNOWN.has(real)) {
        this.problems.push(`${name}: there is no such setting`);
      }
      this.#values.set(real, value.trim());
    }
  }

  text(name: string): string | undefined {
    return this.#values.get(name);
  }

  refuse(name: string, rule: string): void {
    this.problems.push(`${name}: "${clip(this.#values.get(name) ?? "", 100)}" ${rule}`);
  }

  number(name: string, fallback: number, least: number, most: number, whole = false): number {
    const text = this.#values.get(name);
    if (text === undefined) return fallback;
    const value = isShort(text) && /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    this.refuse(name, `must be a ${whole ? "whole number" : "number"} ${range}`);
    return fallback;
  }

  boolean(name: string): boolean {
    const text = this.#values.get(name);
    if (text !== undefined && text !== "true" && text !== "false") this.refuse(name, "must be true or false");
    return text === "true";
  }

  duration(name: string, fallback: number, leastMs: number, most: string): number {
    const text = this.#values.get(name);
    if (text === undefined) return fallback;
    const ms = isShort(text) && /^\d+$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
    if (ms === undefined) this.refuse(name, "must be a duration such as 30s or 5m");
    else if (ms < leastMs) this.refuse(name, `must be at least ${leastMs / 1000}s`);
    else if (ms > (parseGoDuration(most) as number)) this.refuse(name, `must be at most ${most}`);
    else return ms;
    return fallback;
  }
}

const MOST = Number.MAX_SAFE_INTEGER;

/**
 * Reads how a function wants to be scaled. Each setting may be a label or, where its value does not fit into one, an
 * annotation; the label wins.
 * @returns `problems` for a deploy to refuse; a function that is there already is scaled by what is left
 */
export function parseScalePolicy(
  labels: Strings = {},
  annotations: Strings = {},
  defaults: ScaleDefaults = SCALE_DEFAULTS,
): ParsedScalePolicy {
  const read = new Settings(labels, annotations);
  const { type, query } = readType(read);
  const bounds = readBounds(read, defaults);
  const upProportion = read.number(`${OPENFAAS}target-proportion`, 0.9, 0.01, 1);
  const downProportion = read.number(`${FAASLANE}down-proportion`, upProportion, 0.01, 1);
  if (downProportion > upProportion) {
    read.refuse(`${FAASLANE}down-proportion`, `must not be above the target-proportion, ${upProportion}`);
  }
  const windowMs = read.duration(`${FAASLANE}window`, 30_000, 6_000, "1h");
  const panicPercent = read.number(`${FAASLANE}panic-window`, 10, 1, 100);
  const downDelayMs = read.duration(`${FAASLANE}down-delay`, DOWN_DELAY_MS[type], 0, "1h");
  const queueSize = read.number(QUEUE_SIZE, 0, ...QUEUE_SIZES, true);
  const policy: ScalePolicy = {
    type,
    typeGiven: read.text(`${OPENFAAS}type`) !== undefined,
    ...(query !== undefined && { query }),
    ...bounds,
    target: read.number(`${OPENFAAS}target`, defaults.target, 0.0001, MOST),
    upProportion,
    downProportion: Math.min(downProportion, upProportion),
    zero: read.boolean(`${OPENFAAS}zero`),
    zeroDurationMs: read.duration(`${OPENFAAS}zero-duration`, 15 * 60_000, 1000, "168h"),
    factor: read.number(`${OPENFAAS}factor`, 20, 0, 100, true),
    windowMs,
    panicWindowMs: Math.max(1000, Math.round((windowMs * panicPercent) / 100_000) * 1000),
    panicThreshold: read.number(`${FAASLANE}panic-threshold`, 200, 110, 1000) / 100,
    upRate: read.number(`${FAASLANE}up-rate`, 1000, 1.01, MOST),
    downRate: read.number(`${FAASLANE}down-rate`, 2, 1.01, MOST),
    upDelayMs: read.duration(`${FAASLANE}up-delay`, 0, 0, "1h"),
    downDelayMs: read.duration(`${OPENFAAS}down.window`, downDelayMs, 0, "5m"),
    burst: read.number(`${FAASLANE}burst`, 0, 0, MOST),
    ...(queueSize > 0 && { queueSize }),
    windows: readWindows(read, bounds.max),
    prewarm: read.boolean(`${FAASLANE}prewarm`),
    ...(read.text(CHECK_GAIN) !== undefined && { checkGain: read.boolean(CHECK_GAIN) }),
    targetGiven: read.text(`${OPENFAAS}target`) !== undefined,
  };
  return { policy, problems: read.problems };
}

/** The size of the queue that a function asks for, by the rule of {@link parseScalePolicy}; undefined when it asks for none. */
export function readQueueSize(labels: Strings = {}, annotations: Strings = {}): number | undefined {
  const text = labels[QUEUE_SIZE] ?? annotations[QUEUE_SIZE];
  if (text === undefined) return undefined;
  return new Settings({ [QUEUE_SIZE]: text }, {}).number(QUEUE_SIZE, 0, ...QUEUE_SIZES, true) || undefined;
}

function readType(read: Settings): { type: ScaleType; query?: string } {
  const name = `${OPENFAAS}type`;
  const query = read.text(`${FAASLANE}query`);
  const given = read.text(name) ?? "rps";
  const type = SCALE_TYPES.find((known) => known === given);
  if (type === undefined) read.refuse(name, `must be one of ${SCALE_TYPES.join(", ")}`);
  if (query !== undefined && query.length > MAX_QUERY_CHARS) {
    read.problems.push(`${FAASLANE}query: must have at most ${MAX_QUERY_CHARS} characters`);
  }
  if (type === "custom" && !query) read.refuse(`${FAASLANE}query`, "must be a PromQL expression for type custom");
  if (type !== "custom" && query !== undefined) {
    read.refuse(`${FAASLANE}query`, `is for ${name}: custom only`);
  }
  return { type: type ?? "rps", ...(type === "custom" && query && { query }) };
}

function readBounds(
  read: Settings,
  defaults: ScaleDefaults,
): Pick<ScalePolicy, "min" | "max" | "maxGiven" | "initial" | "activation"> {
  const givenMin = read.number(`${OPENFAAS}min`, 1, 0, MOST, true);
  const givenMax = read.text(`${OPENFAAS}max`);
  let max = read.number(`${OPENFAAS}max`, Math.max(defaults.max, givenMin), 1, MOST, true);
  if (givenMin > max) {
    read.refuse(`${OPENFAAS}min`, `must not be above ${OPENFAAS}max: ${givenMax}`);
    max = givenMin;
  }
  const min = Math.max(1, givenMin);
  const within = (name: string, fallback: number) => {
    const value = read.number(name, fallback, 1, MOST, true);
    if (value <= max) return value;
    read.refuse(name, `must not be above ${OPENFAAS}max: ${max}`);
    return fallback;
  };
  const maxGiven = givenMax !== undefined;
  return {
    min,
    max,
    maxGiven,
    initial: within(`${FAASLANE}initial`, min),
    activation: within(`${FAASLANE}activation`, 1),
  };
}

function readWindows(read: Settings, max: number): ScaleWindow[] {
  const name = `${FAASLANE}windows`;
  const text = read.text(name);
  if (text === undefined) return [];
  let list: unknown;
  try {
    list = text.length <= MAX_WINDOWS_CHARS ? parseJson(text, name) : undefined;
  } catch {
    list = undefined;
  }
  if (!Array.isArray(list) || list.length > MAX_WINDOWS) {
    read.problems.push(`${name}: must be a JSON list of at most ${MAX_WINDOWS} windows`);
    return [];
  }
  return list.flatMap((item: unknown, i) => {
    const window = readWindow(item, max);
    if (typeof window !== "string") return [window];
    read.problems.push(`${name}: window ${i + 1}: ${window}`);
    return [];
  });
}

/** @returns the rule that it breaks, if it does */
function readWindow(item: unknown, functionMax: number): ScaleWindow | string {
  if (typeof item !== "object" || item === null) return "must be an object";
  const { schedule, duration, min, max, timeZone = "UTC", ...others } = item as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `there is no field ${unknown}`;
  if (typeof schedule !== "string" || !isSchedule(schedule)) {
    return "schedule must be a cron expression of five or six fields";
  }
  const durationMs = typeof duration === "string" ? parseGoDuration(duration) : undefined;
  if (durationMs === undefined || durationMs < 60_000 || durationMs > 168 * HOUR_MS) {
    return "duration must be a duration from 1m to 168h";
  }
  if (typeof min !== "number" || !Number.isInteger(min) || min < 1) return "min must be a whole number of at least 1";
  if (max !== undefined && (typeof max !== "number" || !Number.isInteger(max) || max < min)) {
    return "max must be a whole number that is not below min";
  }
  if (max === undefined && min > functionMax) return `min must not be above the function's max, ${functionMax}`;
  if (typeof timeZone !== "string" || !isTimeZone(timeZone))
    return "timeZone must be an IANA name such as Europe/Berlin";
  return { schedule, durationMs, min, ...(typeof max === "number" && { max }), timeZone };
}

function isSchedule(text: string): boolean {
  if (!isShort(text) || !/^(\S+\s+){4,5}\S+$/.test(text)) return false;
  try {
    return new Cron(text, { paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

function isTimeZone(name: string): boolean {
  if (!isShort(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}
