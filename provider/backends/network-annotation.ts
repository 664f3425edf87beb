import type { ResolvedDeployment } from "./backend.ts";

const NETWORK_ANNOTATION = "com.faaslane.network";

/** Whether the function asks for no network at all. */
export function isOffNetwork({ annotations }: Pick<ResolvedDeployment, "annotations">): boolean {
  return annotations?.[NETWORK_ANNOTATION] === "none";
}

/** Why a function that asks for none is not run. */
export const OFF_NETWORK_NEEDS = `annotations.${NETWORK_ANNOTATION}: none needs a sandbox, and there is none here`;

/** Rules that the annotation breaks: a mistyped one must not seem to hold. */
export function networkProblems(deployment: Pick<ResolvedDeployment, "annotations">, walled: boolean): string[] {
  const value = deployment.annotations?.[NETWORK_ANNOTATION];
  if (value === undefined || value === "host") return [];
  if (value !== "none")
    return [`annotations.${NETWORK_ANNOTATION}: must be none or host, not ${JSON.stringify(value)}`];
  return walled ? [] : [OFF_NETWORK_NEEDS];
}

/** What is said where pods have the network that their policies give them. */
export function networkWarnings(deployment: Pick<ResolvedDeployment, "annotations">): string[] {
  return isOffNetwork(deployment)
    ? [`annotations.${NETWORK_ANNOTATION}: does not hold here; a NetworkPolicy for the function does the same`]
    : [];
}
