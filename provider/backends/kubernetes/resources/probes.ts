import type { V1Probe } from "@kubernetes/client-node";
import { type ProbeRule, readProbeRules } from "../../probe-annotations.ts";
import { FUNCTION_PORT, HEALTH_PATH } from "./names.ts";
import type { ResourceSettings } from "./settings.ts";

function buildProbe({ path: own, ...timing }: ProbeRule, httpProbe: boolean): V1Probe {
  const path = own ?? (httpProbe ? HEALTH_PATH : undefined);
  return {
    ...(path === undefined
      ? { exec: { command: ["cat", "/tmp/.lock"] } }
      : { httpGet: { path, port: FUNCTION_PORT, scheme: "HTTP" } }),
    ...timing,
  };
}

/** Liveness and readiness. A path of the function's own is asked over HTTP even where lock files are the rule. */
export function buildProbes(
  annotations: Readonly<Record<string, string>> = {},
  { httpProbe, ...defaults }: Pick<ResourceSettings, "httpProbe" | "liveness" | "readiness">,
): { readonly livenessProbe: V1Probe; readonly readinessProbe: V1Probe } {
  const { liveness, readiness } = readProbeRules(annotations, defaults);
  return { livenessProbe: buildProbe(liveness, httpProbe), readinessProbe: buildProbe(readiness, httpProbe) };
}
