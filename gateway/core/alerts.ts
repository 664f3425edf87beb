import { z } from "zod";
import { FaasError } from "../../provider/contract/errors.ts";
import type { ScalePolicy } from "../../provider/contract/scale-policy.ts";

const alerts = z.object({
  alerts: z
    .array(
      z.object({
        status: z.string().default(""),
        labels: z.record(z.string(), z.string()).default({}),
      }),
    )
    .default([]),
});

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
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const parsed = alerts.safeParse(json);
  if (!parsed.success) throw new FaasError("invalid", "Unable to parse alert, bad format.");
  return parsed.data.alerts.flatMap(({ status, labels }) => {
    const name = labels.function_name;
    return name ? [{ function: name, firing: status === "firing" }] : [];
  });
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
