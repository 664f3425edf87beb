import type { V1EnvVar } from "@kubernetes/client-node";
import { hasSink, SINK_VARIABLES, sinkVariables } from "../../../../contract/events/sink-binding.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import type { Announce } from "./settings.ts";

const ANNOUNCE_URL = "announce_url";
export const ANNOUNCE_TOKEN = "announce_token";

/** Variables that the platform sets; a deployment must not. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  "OPENFAAS_NAME",
  "OPENFAAS_NAMESPACE",
  ANNOUNCE_URL,
  ANNOUNCE_TOKEN,
]);

/**
 * Kubernetes expands `$(NAME)` and shortens `$$` in values; a function shall see what was deployed.
 * @see https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function escapeValue(value: string): string {
  return value.replace(/\$(?=[$(])/g, "$$$$");
}

export function unescapeValue(value: string): string {
  return value.replaceAll("$$", "$");
}

/** The container's environment, sorted by name. */
export function buildContainerEnvironment(
  deployment: ResolvedDeployment,
  announce: Announce | undefined,
  gatewayUrl: string | undefined,
): V1EnvVar[] {
  const { service, namespace, envProcess, envVars } = deployment;
  const own: Record<string, string> = { ...(envProcess && { fprocess: envProcess }), ...envVars };
  const platform: Record<string, string> = {
    OPENFAAS_NAME: parseVersionedName(service).name,
    OPENFAAS_NAMESPACE: namespace,
    ...sinkVariables(deployment, gatewayUrl),
    ...(announce && { [ANNOUNCE_URL]: announce.url, [ANNOUNCE_TOKEN]: announce.token }),
  };
  return Object.entries({ ...own, ...platform })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value: escapeValue(value) }));
}

/**
 * What of a container's environment the deployment asked for. Values from elsewhere than the list are left out.
 * @param annotations of the function, which may say that more of it is the platform's
 */
export function readEnvironment(
  env: readonly V1EnvVar[] = [],
  annotations: Readonly<Record<string, string>> = {},
): Pick<ResolvedDeployment, "envProcess" | "envVars"> {
  const ours = new Set([...RESERVED_VARIABLES, ...(hasSink(annotations) ? SINK_VARIABLES : [])]);
  const values = env.flatMap(({ name, value, valueFrom }) =>
    ours.has(name) || valueFrom ? [] : [[name, unescapeValue(value ?? "")] as const],
  );
  const { fprocess, ...envVars } = Object.fromEntries(values);
  return { ...(fprocess && { envProcess: fprocess }), ...(Object.keys(envVars).length > 0 && { envVars }) };
}
