import { z } from "zod";
import { decodeJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { LATENCY_BUCKETS } from "../core/rollout/latency-counts.ts";
import type { TrialSides } from "../core/rollout/trial-book.ts";
import type { FunctionLoad, LoadReport } from "../core/scaling/load-book.ts";

/** A message is no larger, whatever the server would take: what is decoded at a time must not hold up calls. */
export const MAX_PART_BYTES = 256 * 1024;
const MAX_PARTS = 64;
/** Gateways whose reports may be incomplete at a time. */
const MAX_INCOMPLETE = 256;
/** What is around the functions and alerts in a message. */
const FRAME_BYTES = 400;
/** Of a whole number as JSON writes it, with what is around it. */
const MAX_COUNT_CHARS = 20;

const name = z.string().min(1).max(256);
const amount = z.number().min(0);
const count = z.number().int().min(0);

const trial = z.object({
  calls: count,
  errors: count,
  cold: count,
  latencies: z.array(z.tuple([count.max(LATENCY_BUCKETS - 1), count])).max(LATENCY_BUCKETS),
});

const part = z.object({
  gateway: name,
  /** Number of the report, of this gateway's. */
  report: count,
  part: count.max(MAX_PARTS - 1),
  parts: count.min(1).max(MAX_PARTS),
  functions: z.record(
    name,
    z.object({
      concurrency: amount,
      started: count,
      inFlight: count,
      held: count,
      replicas: z.record(name, count).exactOptional(),
    }),
  ),
  alerted: z.array(name).exactOptional(),
  orders: z.record(name, count).exactOptional(),
  byHand: z.record(name, count).exactOptional(),
  trials: z.record(name, z.object({ key: name, candidate: trial, stable: trial })).exactOptional(),
  last: z.boolean().exactOptional(),
});
type ReportPart = z.output<typeof part>;

interface Draft {
  functions: Record<string, FunctionLoad>;
  alerted: string[];
  orders: Record<string, number>;
  byHand: Record<string, number>;
  trials: Record<string, TrialSides>;
  bytes: number;
}

/**
 * A report as JSON messages of at most `maxBytes` each (and of {@link MAX_PART_BYTES}).
 * @param number of this report; the next one has another
 * @throws {FaasError} `tooLarge` when it takes more messages than anybody puts together
 */
export function encodeReport(report: LoadReport, number: number, maxBytes: number): Uint8Array[] {
  const room = Math.min(maxBytes, MAX_PART_BYTES) - FRAME_BYTES - Buffer.byteLength(report.gateway);
  const drafts: Draft[] = [];
  const draftFor = (bytes: number): Draft => {
    const last = drafts.at(-1);
    if (last && last.bytes + bytes <= room) {
      last.bytes += bytes;
      return last;
    }
    const fresh: Draft = { functions: {}, alerted: [], orders: {}, byHand: {}, trials: {}, bytes };
    drafts.push(fresh);
    return fresh;
  };
  for (const [function_, load] of Object.entries(report.functions)) {
    const whole = sizeOf(function_, load);
    if (whole <= room) draftFor(whole).functions[function_] = load;
    else {
      // Which replicas are idle is good to know; how many calls there are has to be known.
      const { replicas: _, ...sum } = load;
      draftFor(sizeOf(function_, sum)).functions[function_] = sum;
    }
  }
  for (const alerted of report.alerted ?? []) draftFor(sizeOf(alerted)).alerted.push(alerted);
  for (const kind of ["orders", "byHand"] as const) {
    for (const [function_, replicas] of Object.entries(report[kind] ?? {})) {
      draftFor(sizeOf(function_) + MAX_COUNT_CHARS)[kind][function_] = replicas;
    }
  }
  for (const [function_, sides] of Object.entries(report.trials ?? {})) {
    const bytes = sizeOf(function_, sides);
    // It would keep all the rest from being sent.
    if (bytes <= room) draftFor(bytes).trials[function_] = sides;
  }
  if (drafts.length > MAX_PARTS) throw new FaasError("tooLarge", `a report of ${drafts.length} messages`);
  if (drafts.length === 0) draftFor(0);
  return drafts.map(({ functions, alerted, orders, byHand, trials }, i) => {
    const message: ReportPart = {
      gateway: report.gateway,
      report: number,
      part: i,
      parts: drafts.length,
      functions: functions as ReportPart["functions"],
      ...(alerted.length > 0 && { alerted }),
      ...(Object.keys(orders).length > 0 && { orders }),
      ...(Object.keys(byHand).length > 0 && { byHand }),
      ...(Object.keys(trials).length > 0 && { trials: trials as NonNullable<ReportPart["trials"]> }),
      ...(report.last && { last: true }),
    };
    return Buffer.from(JSON.stringify(message));
  });
}

function sizeOf(key: string, value?: FunctionLoad | TrialSides): number {
  return Buffer.byteLength(JSON.stringify(key)) + Buffer.byteLength(JSON.stringify(value) ?? "") + 2;
}

/** Puts the messages of reports together again. */
export class ReportReader {
  readonly #incomplete = new Map<string, ReportPart[]>();

  /**
   * @returns the report that `message` completes; undefined while parts of it are missing
   * @throws {FaasError} `invalid` or `tooLarge` for what is not a part of a report
   */
  read(message: Uint8Array): LoadReport | undefined {
    if (message.byteLength > MAX_PART_BYTES) throw new FaasError("tooLarge", "load report: too large");
    const got = decodeJson(part, Buffer.from(message).toString("utf8"), "load report");
    if (got.parts === 1) {
      this.#incomplete.delete(got.gateway);
      return merge([got]);
    }
    const before = this.#incomplete.get(got.gateway)?.filter(({ report }) => report === got.report) ?? [];
    const parts = [...before.filter((other) => other.part !== got.part), got];
    this.#incomplete.delete(got.gateway);
    if (parts.length === got.parts) return merge(parts);
    this.#incomplete.set(got.gateway, parts);
    for (const [oldest] of this.#incomplete) {
      if (this.#incomplete.size <= MAX_INCOMPLETE) break;
      this.#incomplete.delete(oldest);
    }
    return undefined;
  }
}

function merge(parts: readonly ReportPart[]): LoadReport {
  const [{ gateway, last }] = parts as [ReportPart];
  const alerted = parts.flatMap((each) => each.alerted ?? []);
  const orders = Object.assign({}, ...parts.map((each) => each.orders));
  const byHand = Object.assign({}, ...parts.map((each) => each.byHand));
  const trials = Object.assign({}, ...parts.map((each) => each.trials));
  return {
    gateway,
    functions: Object.assign({}, ...parts.map(({ functions }) => functions)),
    ...(alerted.length > 0 && { alerted }),
    ...(Object.keys(orders).length > 0 && { orders }),
    ...(Object.keys(byHand).length > 0 && { byHand }),
    ...(Object.keys(trials).length > 0 && { trials }),
    ...(last && { last }),
  };
}
