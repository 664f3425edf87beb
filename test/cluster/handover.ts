import type { ClusterUnderTest } from "./suite.ts";

/** What `main.ts` tells the process in which the suite runs. */
export interface Handover extends Omit<ClusterUnderTest, "api"> {
  readonly kubeconfig: string;
}

const VARIABLE = "FAASLANE_CLUSTER_TEST";

export function writeHandover(handover: Handover): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(handover) };
}

/** @throws when the suite was started by itself */
export function readHandover(env: Readonly<Record<string, string | undefined>>): Handover {
  const text = env[VARIABLE];
  if (text === undefined) throw new Error("start this suite with: npm run test:cluster");
  return JSON.parse(text) as Handover;
}
