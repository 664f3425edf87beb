import type { V1Container, V1Deployment } from "@kubernetes/client-node";
import type { FunctionResources } from "../../../../contract/functions.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import { readConstraints } from "./constraints.ts";
import { readEnvironment } from "./environment.ts";
import { ANNOTATIONS, FUNCTION_LABEL, HIDDEN_ANNOTATIONS, sortKeys } from "./names.ts";
import { readSecrets } from "./secret-volumes.ts";

/** Whether a Deployment is a function's, made by us or by faas-netes. */
export function isFunction({ metadata, spec }: V1Deployment): boolean {
  const label = metadata?.labels?.[FUNCTION_LABEL];
  return label !== undefined && label === metadata?.name && spec?.selector?.matchLabels?.[FUNCTION_LABEL] === label;
}

/** The container that runs the function; others are somebody's sidecars. */
export function functionContainer({ metadata, spec }: V1Deployment): V1Container | undefined {
  const containers = spec?.template?.spec?.containers ?? [];
  return containers.find(({ name }) => name === metadata?.name) ?? containers[0];
}

/** Labels of the function's pods, {@link FUNCTION_LABEL} among them; as OpenFaaS shows them. */
export function readLabels({ metadata, spec }: V1Deployment): Record<string, string> {
  const labels = spec?.template?.metadata?.labels ?? {};
  return sortKeys({ ...labels, [FUNCTION_LABEL]: metadata?.name ?? "" });
}

/** Annotations of the function's pods without those that are for ourselves. */
export function readAnnotations({ spec }: V1Deployment): Record<string, string> {
  const annotations = Object.entries(spec?.template?.metadata?.annotations ?? {});
  return sortKeys(Object.fromEntries(annotations.filter(([key]) => !HIDDEN_ANNOTATIONS.has(key))));
}

function readQuantities(map: Readonly<Record<string, string>> = {}): FunctionResources | undefined {
  const { memory, cpu } = map;
  if (!memory && !cpu) return undefined;
  return { ...(memory && { memory }), ...(cpu && { cpu }) };
}

/**
 * The definition that a Deployment was made from: what `buildDeployment` makes comes back as it was, in order, with
 * constraints and quantities in Kubernetes' words. Resources that a profile gave count as the function's own.
 */
export function readDeployment(deployment: V1Deployment): ResolvedDeployment {
  const pod = deployment.spec?.template?.spec;
  const container = functionContainer(deployment);
  const { [FUNCTION_LABEL]: service = "", ...labels } = readLabels(deployment);
  const { [ANNOTATIONS.scrape]: scrape, ...rest } = readAnnotations(deployment);
  // Whether the deployment asked for "false" or got it by default makes no difference.
  const annotations = scrape === undefined || scrape === "false" ? rest : { [ANNOTATIONS.scrape]: scrape, ...rest };
  const constraints = readConstraints(pod?.nodeSelector);
  const secrets = pod ? readSecrets(pod) : [];
  const limits = readQuantities(container?.resources?.limits);
  const requests = readQuantities(container?.resources?.requests);
  return {
    service,
    image: container?.image ?? "",
    namespace: deployment.metadata?.namespace ?? "",
    ...readEnvironment(container?.env),
    ...(constraints.length > 0 && { constraints }),
    ...(secrets.length > 0 && { secrets }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations: sortKeys(annotations) }),
    ...(limits && { limits }),
    ...(requests && { requests }),
    ...(container?.securityContext?.readOnlyRootFilesystem && { readOnlyRootFilesystem: true }),
  };
}
