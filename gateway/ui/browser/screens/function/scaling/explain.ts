import type { ScalingDecision, ScalingReport } from "../../../../../../contract/scaling.ts";
import { formatNumber } from "../../../format.ts";

/** Where the number of a step comes from, by the reason that it gives: settings, or what was seen. */
export const SOURCES = {
  load: "target, target-proportion, window",
  panic: "panic-window, panic-threshold",
  hysteresis: "down-proportion",
  cores: "processors of the machine",
  gain: "check-gain",
  "up-rate": "up-rate",
  "down-rate": "down-rate",
  "up-delay": "up-delay",
  "down-delay": "down-delay",
  activation: "activation",
  initial: "initial, min",
  min: "min",
  max: "max",
  schedule: "windows",
  prewarm: "prewarm, and when calls came before",
  static: "min and max, which are the same",
  "by-hand": "an order by hand",
  "load-unknown": "a source that is away",
  "no-data": "nothing measured yet",
  asleep: "zero",
  woken: "calls that wait, zero",
  idle: "zero, zero-duration",
} as const;

/** What a function of a type is scaled by. */
const LOADS: Readonly<Record<string, string>> = {
  capacity: "calls in flight",
  rps: "calls a second",
  queue: "asynchronous calls that wait or run",
  cpu: "thousandths of a processor",
  custom: "the value of its query",
};

/** One line of the picture. */
export interface Stage {
  readonly kind: "load" | "wish" | "clamp" | "result";
  readonly title: string;
  readonly value: number | undefined;
  /** The formula with its numbers, or the rule. */
  readonly text: string;
  /** Where the number comes from. */
  readonly source: string;
  /** It has changed the number. */
  readonly hasChanged: boolean;
}

/** From the load to the result: what each step has made of what came from the one before. */
export function stagesOf(
  decision: ScalingDecision,
  { type, settings }: Pick<ScalingReport, "type" | "settings">,
): Stage[] {
  const { load, burstLoad, steps, from, to, panic, reason, ready } = decision;
  const unit = LOADS[type] ?? type;
  const burst = burstLoad === undefined ? "" : `; ${formatNumber(burstLoad)} over the panic window`;
  return [
    {
      kind: "load",
      title: "Load",
      value: load,
      text: load === undefined ? "it was not measured" : `${unit}, on average over ${settings.window}${burst}`,
      source: `type: ${type}`,
      hasChanged: false,
    },
    ...steps.map(({ reason: by, replicas, text }, at): Stage => {
      const before = at === 0 ? undefined : steps[at - 1]?.replicas;
      return {
        kind: at === 0 ? "wish" : "clamp",
        title: at === 0 ? `Wish, by ${by}` : `Then ${by}`,
        value: replicas,
        text,
        source: sourceOf(by, settings),
        hasChanged: at > 0 && before !== replicas,
      };
    }),
    {
      kind: "result",
      title: "Result",
      value: to,
      text: `${from === to ? `it stays at ${to}` : `from ${from} to ${to}`}; ${ready} ready then${panic ? "; the load rises fast, so the panic window counts" : ""}`,
      source: `decided by ${reason}`,
      hasChanged: from !== to,
    },
  ];
}

/** Settings with the values that they have, where the reason goes back to some. */
function sourceOf(reason: string, settings: ScalingReport["settings"]): string {
  const words: string = SOURCES[reason as keyof typeof SOURCES] ?? reason;
  return words
    .split(", ")
    .map((word) => (settings[word] === undefined ? word : `${word}: ${settings[word]}`))
    .join(", ");
}

/** Length of a stage's bar, from 0 to 1: replicas beside the most that any stage has. */
export function barOf({ kind, value }: Stage, stages: readonly Stage[]): number {
  if (kind === "load" || value === undefined) return 0;
  const most = Math.max(1, ...stages.map((each) => (each.kind === "load" ? 0 : (each.value ?? 0))));
  return value / most;
}
