import type { FunctionRow, LiveBroker, PlatformRow, QueueRow } from "../../../../../contract/ui/stream.ts";
import type { Tone } from "../../components/tone.ts";
import { formatNumber, formatShare } from "../../format.ts";
import { type Health, healthOf } from "./health.ts";

export interface AttentionItem {
  readonly key: string;
  /** What it is about, and the screen of it. */
  readonly what: string;
  readonly to: string;
  readonly why: string;
}

/** Things of one kind that somebody should look at. */
export interface Attention {
  readonly title: string;
  readonly tone: Tone;
  /** At most {@link MOST}. */
  readonly items: readonly AttentionItem[];
  readonly count: number;
  /** Where all of them are, if there is such a place. */
  readonly all: string | undefined;
}

export interface Known {
  readonly functions: Iterable<FunctionRow>;
  readonly queue: Iterable<QueueRow>;
  readonly events: Iterable<LiveBroker>;
  readonly platform: Iterable<PlatformRow>;
}

/** Of each kind: more are a number and a link. */
export const MOST = 5;

/** What somebody should look at, the worst first; each kind only if there is any of it. */
export function attentionOf({ functions, queue, events, platform }: Known): readonly Attention[] {
  const byHealth = new Map<Health, FunctionRow[]>();
  const rollouts: FunctionRow[] = [];
  for (const row of functions) {
    const health = healthOf(row);
    if (health === "cannot-start" || health === "failing") byHealth.set(health, [...(byHealth.get(health) ?? []), row]);
    const phase = row.rollout?.phase;
    if (phase === "paused" || phase === "holding" || phase === "aborted") rollouts.push(row);
  }
  const parts = [...platform].filter(({ state }) => state === "away");
  const deadCalls = [...queue].filter(({ dead }) => dead > 0);
  const deadEvents = [...events].filter(({ dead }) => dead > 0);
  return [
    kind("Away", "bad", "/platform", parts, ({ part, problem = "it does not answer" }) => ({
      key: part,
      what: part,
      to: "/platform",
      why: problem,
    })),
    kind("Cannot start", "bad", "/?state=cannot-start", byHealth.get("cannot-start") ?? [], (row) =>
      ofFunction(row, "", row.problem ?? ""),
    ),
    kind("Failing", "bad", "/?state=failing&sort=-errors", worstFirst(byHealth.get("failing") ?? []), (row) =>
      ofFunction(row, "/calls?preset=errors", `${formatShare(row.errors)} of ${formatNumber(row.rate)} calls a second`),
    ),
    kind("Rollouts", "warn", undefined, rollouts, (row) => ofFunction(row, "/versions", rolloutWhy(row))),
    kind("Calls that failed for good", "warn", "/queue", deadCalls, ({ queue: name, dead }) => ({
      key: name,
      what: name,
      to: "/queue",
      why: `${formatNumber(dead)} dead letters`,
    })),
    kind("Events that failed for good", "warn", "/events", deadEvents, ({ broker, namespace, dead }) => ({
      key: `${broker}.${namespace}`,
      what: `${broker} in ${namespace}`,
      to: "/events",
      why: `${formatNumber(dead)} dead letters`,
    })),
  ].filter((found) => found.count > 0);
}

function kind<Row>(
  title: string,
  tone: Tone,
  all: string | undefined,
  rows: readonly Row[],
  itemOf: (row: Row) => AttentionItem,
): Attention {
  return { title, tone, all, count: rows.length, items: rows.slice(0, MOST).map(itemOf) };
}

function ofFunction({ name, namespace }: FunctionRow, tab: string, why: string): AttentionItem {
  return { key: `${name}.${namespace}`, what: name, to: `/functions/${namespace}/${name}${tab}`, why };
}

function worstFirst(rows: readonly FunctionRow[]): readonly FunctionRow[] {
  return rows.toSorted((a, b) => b.errors * b.rate - a.errors * a.rate);
}

function rolloutWhy({ rollout }: FunctionRow): string {
  if (!rollout) return "";
  const { phase, from, to, step, reason, settings } = rollout;
  if (phase === "aborted") return `${to} was aborted, ${from} has its calls again${reason ? `: ${reason}` : ""}`;
  const where = `${from} to ${to}, step ${step + 1} of ${settings.steps.length}`;
  return phase === "paused" ? `${where} waits for approval` : `${where} has too few calls to conclude from`;
}
