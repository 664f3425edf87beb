import type { Registry } from "prom-client";
import { candidateShare } from "../../contract/versions/rollout-shares.ts";
import { ROLLOUT_PHASES } from "../../contract/versions/rollout-state.ts";
import { WHOLE } from "../../contract/versions/traffic.ts";
import { register } from "../../kit/series.ts";
import type { RolloutDriver } from "../rollouts/rollout-driver.ts";
import type { RolloutsUnderWay } from "../rollouts/rollouts-under-way.ts";

export interface RolloutMetricsOptions {
  readonly underWay: Pick<RolloutsUnderWay, "list">;
  readonly driver: Pick<RolloutDriver, "verdicts" | "ends">;
}

/** Every gateway tells of the rollouts that are under way; evaluations and ends are counted where they were decided. */
export function registerRolloutMetrics(registry: Registry, { underWay, driver }: RolloutMetricsOptions): void {
  register(registry, "gauge", "gateway_rollout_phase", "1 for the phase of a rollout under way.", () =>
    underWay.list().flatMap(({ name, rollout }) =>
      ROLLOUT_PHASES.slice(0, 4).map((phase) => ({
        labels: { function_name: name, function_version: rollout.to, phase },
        value: Number(phase === rollout.phase),
      })),
    ),
  );
  const gauge = (name: string, help: string, value: (of: ReturnType<RolloutsUnderWay["list"]>[number]) => number) =>
    register(registry, "gauge", name, help, () =>
      underWay.list().map((each) => ({
        labels: { function_name: each.name, function_version: each.rollout.to },
        value: value(each),
      })),
    );
  gauge("gateway_rollout_step", "Step of a rollout under way, from 0.", ({ rollout }) => rollout.step);
  gauge("gateway_rollout_share", "Part of the calls that the new version gets, up to 1.", ({ rollout }) => {
    return candidateShare(rollout) / WHOLE;
  });
  register(registry, "counter", "gateway_rollout_evaluations_total", "Looks at a rollout's numbers, by verdict.", () =>
    [...driver.verdicts].map(([verdict, value]) => ({ labels: { verdict }, value })),
  );
  register(registry, "counter", "gateway_rollouts_ended_total", "Rollouts that this gateway has ended.", () =>
    [...driver.ends].map(([phase, value]) => ({ labels: { phase }, value })),
  );
}
