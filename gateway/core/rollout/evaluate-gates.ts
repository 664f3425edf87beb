import type { RolloutGate, RolloutQuery, RolloutSettings } from "../../../contract/versions/rollout-settings.ts";
import type { RolloutMeasurement, VersionCounts } from "../../../contract/versions/rollout-state.ts";
import { wilsonInterval } from "./wilson.ts";

/** Both versions in the same window. */
export interface TrialNumbers {
  readonly candidate: VersionCounts;
  readonly stable: VersionCounts;
}

export interface Evaluation {
  readonly verdict: RolloutMeasurement["verdict"];
  /** What decided, with its numbers; absent where all is good. */
  readonly reason?: string;
  /** Of an inconclusive one: whether what was seen keeps all limits, were it but certain. */
  readonly likely?: boolean;
}

/** What Prometheus says, or why it says nothing. */
export type QueryResult = { readonly value: number } | { readonly problem: string };

/** Fewer calls on either side say too little to compare by. */
const LEAST_TO_COMPARE = 100;

type Outcome = Required<Pick<Evaluation, "verdict" | "reason">> & { readonly likely: boolean };

/** What the numbers say of the new version. */
export function evaluateGates(
  { gates, query, minRequests }: Pick<RolloutSettings, "gates" | "query" | "minRequests">,
  numbers: TrialNumbers,
  result: QueryResult = { problem: "it was not asked yet" },
): Evaluation {
  const { calls } = numbers.candidate;
  if (calls < minRequests) return { verdict: "no-data", reason: `${calls} of at least ${minRequests} calls` };
  const outcomes = gates.map((gate) => judge(gate, numbers));
  if (query) outcomes.push(judgeQuery(query, result));
  const bad = outcomes.find(({ verdict }) => verdict === "bad");
  if (bad) return { verdict: "bad", reason: bad.reason };
  const open = outcomes.filter(({ verdict }) => verdict === "inconclusive");
  const [first] = open;
  if (!first) return { verdict: "good" };
  return { verdict: "inconclusive", reason: first.reason, likely: open.every(({ likely }) => likely) };
}

function judge(gate: RolloutGate, numbers: TrialNumbers): Outcome {
  const { candidate, stable } = numbers;
  const few = Math.min(candidate.calls, stable.calls) < LEAST_TO_COMPARE;
  if (gate.relative && few) {
    const reason = `${gate.metric}: ${candidate.calls} and ${stable.calls} calls are too few to compare`;
    return { verdict: "inconclusive", reason, likely: true };
  }
  if (gate.metric === "errors" || gate.metric === "cold") return judgeShare(gate, gate.metric, numbers);
  const { metric, limit } = gate;
  const seen = candidate[metric];
  const beside = stable[metric];
  if (seen === undefined || (gate.relative && beside === undefined)) {
    return { verdict: "inconclusive", reason: `${metric}: no call has been answered`, likely: true };
  }
  const most = gate.relative ? limit * (beside as number) : limit;
  const bound = gate.relative
    ? `${limit} × ${milliseconds(beside as number)} of the stable version`
    : milliseconds(limit);
  const verdict = seen < most ? "good" : "bad";
  return { verdict, reason: `${metric} is ${milliseconds(seen)}, the limit ${bound}`, likely: verdict === "good" };
}

function judgeQuery({ limit }: RolloutQuery, result: QueryResult): Outcome {
  if ("problem" in result) return { verdict: "inconclusive", reason: `query: ${result.problem}`, likely: false };
  const { value } = result;
  const verdict = value < limit ? "good" : "bad";
  return { verdict, reason: `the query's value is ${value}, the limit ${limit}`, likely: verdict === "good" };
}

/** A share of few calls may be chance: it is too large, or small enough, when it is so with 95 %. */
function judgeShare({ limit, relative }: RolloutGate, metric: "errors" | "cold", numbers: TrialNumbers): Outcome {
  const { candidate, stable } = numbers;
  const share = candidate.calls === 0 ? 0 : candidate[metric] / candidate.calls;
  const { lower, upper } = wilsonInterval(candidate[metric], candidate.calls);
  const what = metric === "errors" ? "errors are" : "cold starts are";
  const seen = `${what} ${percent(share)} of ${candidate.calls} calls, by chance ${percent(lower)} to ${percent(upper)}`;
  if (!relative) {
    const verdict = lower > limit ? "bad" : upper < limit ? "good" : "inconclusive";
    return { verdict, reason: `${seen}; the limit is ${percent(limit)}`, likely: share < limit };
  }
  const beside = stable[metric] / stable.calls;
  const most = limit * wilsonInterval(stable[metric], stable.calls).upper;
  const likely = share === 0 || share <= limit * beside;
  const reason = `${seen}; the limit is ${limit} × ${percent(beside)} of the stable version`;
  return { verdict: lower > most ? "bad" : likely ? "good" : "inconclusive", reason, likely };
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`;
}

function milliseconds(ms: number): string {
  return `${Math.round(ms * 10) / 10} ms`;
}
