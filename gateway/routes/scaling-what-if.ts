import { parseGoDuration } from "../../contract/duration.ts";
import { FaasError } from "../../contract/errors.ts";
import { parseMoment, parseSpan } from "../../contract/instants.ts";
import type { ParsedScalePolicy } from "../../contract/scale-policy.ts";
import type { ScalingWhatIf } from "../../contract/scaling.ts";
import { recordedTotals } from "../core/scaling/recorded-totals.ts";
import type { Sample } from "../core/scaling/sample.ts";
import { labelOf } from "../core/scaling/setting-label.ts";
import { everySecond, type SimulatedSecond, simulate } from "../core/scaling/simulate.ts";
import { policySettings } from "./scaling-report.ts";

/** What is asked: other settings, over which time. */
export interface WhatIfQuestion {
  /** By the names of labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** From wanting a replica to its being ready, in milliseconds. */
  readonly startMs: number;
}

/** Longer would keep the gateway from its calls: an hour takes some 20 ms. */
const MAX_SPAN_MS = 3600_000;
const MAX_START_MS = 3600_000;
const MAX_SETTINGS = 50;
/** The gateway's own pace. */
const TICK_MS = 2_000;
const MAX_POINTS = 600;
const NAMES = ["set", "since", "start", "namespace"];

/**
 * `?set=target=20&set=max=5&since=10m&start=2s`.
 * @param now milliseconds since the epoch
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readWhatIf(query: Readonly<Record<string, unknown>>, now: number): WhatIfQuestion {
  const unknown = Object.keys(query).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) fail(unknown, `is unknown; there are ${NAMES.join(", ")}`);
  const pairs = texts("set", query.set);
  if (pairs.length > MAX_SETTINGS) fail("set", `must be given at most ${MAX_SETTINGS} times`);
  const labels = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) fail("set", "must be NAME=VALUE, such as target=20");
    return [labelOf(pair.slice(0, at)), pair.slice(at + 1)] as const;
  });
  const start = texts("start", query.start).at(-1) ?? "1s";
  const startMs = parseGoDuration(start) ?? Number.NaN;
  if (!(startMs >= 0 && startMs <= MAX_START_MS)) fail("start", "must be a duration of at most 1h");
  const since = readSince(texts("since", query.since).at(-1), now);
  return { labels: Object.fromEntries(labels), startMs, since: Math.max(since, now - MAX_SPAN_MS) };
}

function readSince(text: string | undefined, now: number): number {
  if (text === undefined) return now - MAX_SPAN_MS;
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  const span = parseSpan(text);
  return span === undefined
    ? fail("since", "must be a time such as 2030-01-31T12:00:00Z, or a duration ago")
    : now - span;
}

function texts(name: string, given: unknown): readonly string[] {
  const all = given === undefined || given === "" ? [] : Array.isArray(given) ? given : [given];
  return all.every((each) => typeof each === "string") ? all : fail(name, "must be text");
}

/**
 * Decides again over what was recorded.
 * @param history oldest first, by the system's clock
 * @throws {FaasError} `invalid`, naming the settings that are wrong
 */
export function buildWhatIf(
  history: readonly Sample[],
  { policy, problems }: ParsedScalePolicy,
  { startMs }: Pick<WhatIfQuestion, "startMs">,
): ScalingWhatIf {
  if (problems.length > 0) throw new FaasError("invalid", `set: ${problems.join("; ")}`);
  const { seconds, ...simulated } = simulate(history, { policy, startMs, tickMs: TICK_MS });
  const recorded = [...everySecond(history)].map(({ ready }) => ready);
  return {
    type: policy.type,
    settings: policySettings(policy),
    simulated: rounded(simulated),
    recorded: rounded(recordedTotals(history, policy)),
    points: thin(seconds, recorded),
  };
}

type Point = ScalingWhatIf["points"][number];

/** The largest of each number in each of at most {@link MAX_POINTS} stretches, so that a short peak shows. */
function thin(seconds: readonly SimulatedSecond[], recorded: readonly number[]): Point[] {
  const size = Math.ceil(seconds.length / MAX_POINTS) || 1;
  const points: Point[] = [];
  for (const [at, { t, load, wanted, ready }] of seconds.entries()) {
    const real = recorded[at] ?? 0;
    const last = points.at(-1);
    if (at % size === 0 || !last) points.push({ t, load: twoPlaces(load), wanted, ready, recorded: real });
    else {
      last.load = Math.max(last.load, twoPlaces(load));
      last.wanted = Math.max(last.wanted, wanted);
      last.ready = Math.max(last.ready, ready);
      last.recorded = Math.max(last.recorded, real);
    }
  }
  return points;
}

function rounded<T extends Readonly<Record<string, number>>>(totals: T): T {
  return Object.fromEntries(Object.entries(totals).map(([name, value]) => [name, twoPlaces(value)])) as T;
}

function twoPlaces(value: number): number {
  return Math.round(value * 100) / 100;
}

function fail(name: string, rule: string): never {
  throw new FaasError("invalid", `${name}: ${rule}`);
}
