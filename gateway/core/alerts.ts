import { z } from "zod";
import { atMost, parseJson, stringMap } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { ScalePolicy } from "../../contract/scale-policy.ts";

const alert = z.object({
  status: z.string().default(""),
  labels: atMost(1_000, stringMap).default({}),
});
/** One webhook carries the alerts of one group. */
const alerts = z.object({ alerts: atMost(10_000, z.array(alert)).default([]) });

export interface Alert {
  /** As the alert names it, with or without namespace. */
  readonly function: string;
  readonly firing: boolean;
}

/**
 * Alerts of an Alertmanager webhook that name a function.
 * @throws {FaasError} `invalid`
 */
export function parseAlerts(text: string): Alert[] {
  const parsed = alerts.safeParse(readJson(text));
  if (!parsed.success) throw new FaasError("invalid", "Unable to parse alert, bad format.");
  return parsed.data.alerts.flatMap(({ status, labels }) => {
    const name = labels.function_name;
    return name ? [{ function: name, firing: status === "firing" }] : [];
  });
}

/** With some twenty labels and annotations for each of the alerts that there may be. */
const MAX_VALUES = 200_000;

function readJson(text: string): unknown {
  try {
    return parseJson(text, "alerts", MAX_VALUES);
  } catch {
    return undefined;
  }
}

/** Replicas after an alert: a share of the largest number more while it fires, the least number otherwise. */
export function replicasAfterAlert(
  { firing }: Pick<Alert, "firing">,
  current: number,
  { min, max, factor }: Pick<ScalePolicy, "min" | "max" | "factor">,
): number {
  const step = Math.ceil((max * factor) / 100);
  return firing && step > 0 ? Math.min(current + step, max) : min;
}
