import { z } from "zod";
import { maybe } from "../decode.ts";
import { parseGoDuration } from "../duration.ts";
import { parsePercent, WHOLE } from "./traffic.ts";

/** Annotation that says how a new version gets its calls; its settings follow after a dot. */
export const ROLLOUT = "com.faaslane.rollout";
export const ROLLOUT_STRATEGIES = ["instant", "canary", "blue-green", "manual"] as const;
export type RolloutStrategy = (typeof ROLLOUT_STRATEGIES)[number];

const step = z.object({
  /** What the new version gets, or a copy of it, in hundredths of a percent. */
  share: z.number().int().min(0).max(WHOLE),
  /** Calls are copied to the new version, and its answers thrown away. */
  mirror: maybe(z.boolean()),
  /** At least so long, in milliseconds; absent: until somebody approves. The last step has 0. */
  forMs: maybe(z.number().nonnegative()),
});
export type RolloutStep = z.output<typeof step>;

const gate = z.object({
  metric: z.enum(["errors", "p50", "p95", "p99", "cold"]),
  /** A fraction for `errors` and `cold`, milliseconds for the others; with `relative` a factor. */
  limit: z.number().positive(),
  /** Beside the stable version in the same window. */
  relative: maybe(z.boolean()),
});
export type RolloutGate = z.output<typeof gate>;

const query = z.object({
  /** PromQL. `$function`, `$namespace` and `$version` stand for the names of the new version. */
  expression: z.string(),
  /** Its value is below. */
  limit: z.number(),
});
export type RolloutQuery = z.output<typeof query>;

export const rolloutSettings = z.object({
  strategy: z.enum(ROLLOUT_STRATEGIES),
  steps: z.array(step).min(1).max(50),
  gates: z.array(gate).max(20),
  /** A condition that Prometheus is asked about, beside those. */
  query: maybe(query),
  /** Calls in a step before anything is concluded. */
  minRequests: z.number().int().min(0),
  /** When a step's time is over with fewer; absent: `advance`, but `hold` before 100 %. */
  noData: maybe(z.enum(["hold", "advance", "abort"])),
  onFail: z.enum(["abort", "pause"]),
  /** Aborted after so long, in milliseconds. */
  maxMs: z.number().positive(),
  /** A function's name, or an address, asked before each phase. */
  hook: maybe(z.string()),
  /** Ready replicas before the first call: so many, or as many as the share needs. */
  warm: z.union([z.number().int().min(0), z.literal("match")]),
});
/** How a rollout goes, as it was when it began. */
export type RolloutSettings = z.output<typeof rolloutSettings>;

const HUNDRED: RolloutStep = { share: WHOLE, forMs: 0 };
const CANARY_STEPS = "1@2m,5@5m,25@10m,50@10m,100";
const SETTINGS = ["steps", "gate", "query", "min-requests", "no-data", "on-fail", "max", "hook", "warm"] as const;
type Setting = (typeof SETTINGS)[number];
const nameOf = (setting: Setting) => `${ROLLOUT}.${setting}`;
const HOUR_MS = 3_600_000;
const MAX_MS = 30 * 24 * HOUR_MS;

export interface ParsedRollout {
  readonly settings: RolloutSettings;
  /** A sentence for each annotation that cannot be read, with its name and rule. */
  readonly problems: readonly string[];
}

/** Reads `com.faaslane.rollout` and what belongs to it. */
export function parseRollout(annotations: Readonly<Record<string, string>> = {}): ParsedRollout {
  const problems: string[] = [];
  const refuse = (name: string, rule: string) => void problems.push(`${name}: ${rule}`);
  const read = (setting: Setting) => annotations[nameOf(setting)]?.trim();
  const oneOf = <T extends string>(name: string, values: readonly T[], text: string | undefined): T | undefined => {
    if (text === undefined) return undefined;
    const found = values.find((value) => value === text);
    if (found === undefined) refuse(name, `must be one of ${values.join(", ")}`);
    return found;
  };
  const known = new Set<string>(SETTINGS.map(nameOf));
  for (const name of Object.keys(annotations)) {
    if (name.startsWith(`${ROLLOUT}.`) && !known.has(name))
      refuse(name, `is unknown; there are ${[...known].join(", ")}`);
  }
  const strategy = oneOf(ROLLOUT, ROLLOUT_STRATEGIES, annotations[ROLLOUT]?.trim()) ?? "instant";
  const steps = parseSteps(read("steps") ?? (strategy === "canary" ? CANARY_STEPS : ""), (rule) =>
    refuse(nameOf("steps"), rule),
  );
  const gates = parseGates(read("gate") ?? "", (rule) => refuse(nameOf("gate"), rule));
  const query = read("query");
  const asked = query === undefined ? undefined : parseQuery(query, (rule) => refuse(nameOf("query"), rule));
  const count = (setting: Setting, otherwise: number, text = read(setting)): number => {
    if (text === undefined) return otherwise;
    if (/^\d{1,7}$/.test(text)) return Number(text);
    refuse(nameOf(setting), "must be a whole number of at least 0");
    return otherwise;
  };
  const maxMs = parseGoDuration(read("max") ?? "1h") ?? 0;
  if (maxMs <= 0 || maxMs > MAX_MS) refuse(nameOf("max"), "must be a duration such as 1h, of at most 720h");
  const noData = oneOf(nameOf("no-data"), ["hold", "advance", "abort"] as const, read("no-data"));
  const hook = read("hook");
  if (hook === "") refuse(nameOf("hook"), "must be the name of a function or an http address");
  return {
    settings: {
      strategy,
      steps,
      gates,
      ...(asked && { query: asked }),
      minRequests: count("min-requests", 50),
      ...(noData && { noData }),
      onFail: oneOf(nameOf("on-fail"), ["abort", "pause"] as const, read("on-fail")) ?? "abort",
      maxMs: maxMs > 0 && maxMs <= MAX_MS ? maxMs : HOUR_MS,
      ...(hook && { hook }),
      warm: read("warm") === "match" ? "match" : count("warm", 1),
    },
    problems,
  };
}

/** `mirror:20@5m,1@2m,5@pause,100`; nothing stands for 100 % at once. */
function parseSteps(text: string, refuse: (rule: string) => void): RolloutStep[] {
  if (text === "") return [HUNDRED];
  const steps: RolloutStep[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    const [, mirror, percent = "", time] = /^(mirror:)?([\d.]+)(?:@(\w+))?$/.exec(part) ?? [];
    const share = parsePercent(percent);
    const forMs = time === undefined ? 0 : time === "pause" ? undefined : parseGoDuration(time);
    if (share === undefined || share === 0 || (forMs === undefined && time !== "pause") || (forMs ?? 0) > MAX_MS) {
      refuse(`"${part}" must be PERCENT, PERCENT@TIME or PERCENT@pause, or mirror: before one of them`);
      return [HUNDRED];
    }
    steps.push({ share, ...(mirror && { mirror: true }), ...(forMs !== undefined && { forMs }) });
  }
  const shares = steps.filter(({ mirror }) => !mirror).map(({ share }) => share);
  const firstShare = steps.findIndex(({ mirror }) => !mirror);
  if (steps.length > 50) refuse("must be at most 50 steps");
  else if (steps.slice(Math.max(0, firstShare)).some(({ mirror }) => mirror))
    refuse("mirror steps come before the first share");
  else if (shares.some((share, at) => at > 0 && share <= (shares[at - 1] as number)))
    refuse("percentages must grow from step to step");
  else if (shares.at(-1) !== WHOLE) refuse("the last step must be 100");
  else return steps;
  return [HUNDRED];
}

const QUERY = /^(.*[^<=>!\s])\s*<\s*(-?\d+(?:\.\d+)?)$/s;
const MAX_QUERY_CHARS = 2_000;

/** `sum(rate(orders_failed{version="$version"}[1m])) < 0.5`. */
function parseQuery(text: string, refuse: (rule: string) => void): RolloutQuery | undefined {
  const [, expression, limit] = (text.length <= MAX_QUERY_CHARS && QUERY.exec(text)) || [];
  if (expression !== undefined) return { expression, limit: Number(limit) };
  refuse(`must be PromQL, then < and a number, in at most ${MAX_QUERY_CHARS} characters`);
  return undefined;
}

const GATE = /^(errors|p50|p95|p99|cold)<(\d+(?:\.\d+)?)(%|ms|s|x)$/;

/** `errors<1%,p95<500ms,p95<1.3x,cold<20%`. */
function parseGates(text: string, refuse: (rule: string) => void): RolloutGate[] {
  if (text === "") return [];
  const gates: RolloutGate[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    const [, metric, number = "", unit] = GATE.exec(part) ?? [];
    const isShare = metric === "errors" || metric === "cold";
    const fits = metric !== undefined && (unit === "x" || (isShare ? unit === "%" : unit === "ms" || unit === "s"));
    if (!fits || Number(number) === 0) {
      refuse(`"${part}" must be such as errors<1%, p95<500ms, p95<1.3x or cold<20%`);
      return [];
    }
    const limit = Number(number) * (unit === "%" ? 0.01 : unit === "s" ? 1000 : 1);
    gates.push({ metric: metric as RolloutGate["metric"], limit, ...(unit === "x" && { relative: true }) });
  }
  if (gates.length <= 20) return gates;
  refuse("must be at most 20 conditions");
  return [];
}
