import type { ResolvedDeployment } from "../backend.ts";
import { parseQuantity } from "../quantity.ts";
import { SMALLEST_MEMORY_LIMIT } from "./memory-limit.ts";

/** What functions are held to on this machine. */
export interface Enforcement {
  /** Functions run behind a wall of namespaces. */
  readonly walled: boolean;
  /** Limits of CPU hold. */
  readonly cpu: boolean;
}

/** What of a deployment does not hold here, a sentence each. */
export function deploymentWarnings(deployment: ResolvedDeployment, { walled, cpu }: Enforcement): string[] {
  const { constraints = [], limits, readOnlyRootFilesystem, secrets = [] } = deployment;
  const memory = limits?.memory;
  const bytes = parseQuantity(memory ?? "") ?? 0;
  return [
    ...(constraints.length > 0 ? ["constraints: have no meaning here, there is only this machine"] : []),
    ...(bytes > 0 && bytes < SMALLEST_MEMORY_LIMIT
      ? [`limits.memory: "${memory}" is less than any function needs and does not hold; 64Mi is 64 mebibytes`]
      : []),
    ...(limits?.cpu && !cpu ? ["limits.cpu: does not hold here, the platform cannot write control groups"] : []),
    ...(readOnlyRootFilesystem && !walled
      ? ["readOnlyRootFilesystem: does not hold here, functions run without a sandbox"]
      : []),
    ...(secrets.length > 0 && !walled
      ? [
          "secrets: are in the folder $FAASLANE_SECRETS_DIR, not in /var/openfaas/secrets: functions run without a sandbox",
        ]
      : []),
  ];
}
