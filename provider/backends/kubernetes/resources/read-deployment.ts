import type { V1Container, V1Deployment } from "@kubernetes/client-node";
import type { FunctionResources } from "../../../../contract/functions.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import { readConstraints } from "./constraints.ts";
import { readEnvironment } from "./environment.ts";
import {
  ANNOTATIONS,
  FUNCTION_LABEL,
  HIDDEN_ANNOTATIONS,
  isApart,
  sortKeys,
  VERSION_LABEL,
  VERSION_OF_LABEL,
} from "./names.ts";
import { readSecrets } from "./secret-volumes.ts";
import { isVersionUnit, unitOfDeployment } from "./version-unit.ts";

/** Whether a Deployment is a function's, made by us or by faas-netes, or that of a version beside it. */
export function isFunction({ metadata = {}, spec }: V1Deployment): boolean {
  const { name, labels } = metadata;
  if (name === undefined || spec?.selector?.matchLabels?.[FUNCTION_LABEL] !== name) return false;
  return labels?.[FUNCTION_LABEL] === name || isVersionDeployment({ metadata });
}

/** Whether a Deployment is that of a version beside a function. */
export function isVersionDeployment({ metadata = {} }: V1Deployment): boolean {
  return isVersionUnit(unitOfDeployment(metadata));
}

/** The function that a Deployment is of, also when it is of one of its versions. */
function functionName({ metadata = {} }: V1Deployment): string {
  return parseVersionedName(unitOfDeployment(metadata)).name;
}

/** The container that runs the function; others are somebody's sidecars. */
export function functionContainer(deployment: V1Deployment): V1Container | undefined {
  const containers = deployment.spec?.template?.spec?.containers ?? [];
  const own = functionName(deployment);
  return containers.find(({ name }) => name === own) ?? containers[0];
}

/** Labels of the function's pods, {@link FUNCTION_LABEL} among them; as OpenFaaS shows them. */
export function readLabels(deployment: V1Deployment): Record<string, string> {
  const labels = deployment.spec?.template?.metadata?.labels ?? {};
  const { [VERSION_OF_LABEL]: _of, [VERSION_LABEL]: _version, ...own } = labels;
  return sortKeys({ ...own, [FUNCTION_LABEL]: functionName(deployment) });
}

/** Annotations of the function's pods without those that are for ourselves, and those that pods have no use for. */
export function readAnnotations({ metadata, spec }: V1Deployment): Record<string, string> {
  const apart = Object.entries(metadata?.annotations ?? {}).filter(([key]) => isApart(key));
  const annotations = [...Object.entries(spec?.template?.metadata?.annotations ?? {}), ...apart];
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
  const { [FUNCTION_LABEL]: _, ...labels } = readLabels(deployment);
  const { [ANNOTATIONS.scrape]: scrape, ...rest } = readAnnotations(deployment);
  // Whether the deployment asked for "false" or got it by default makes no difference.
  const annotations = scrape === undefined || scrape === "false" ? rest : { [ANNOTATIONS.scrape]: scrape, ...rest };
  const constraints = readConstraints(pod?.nodeSelector);
  const secrets = pod ? readSecrets(pod) : [];
  const limits = readQuantities(container?.resources?.limits);
  const requests = readQuantities(container?.resources?.requests);
  return {
    service: unitOfDeployment(deployment.metadata ?? {}),
    image: container?.image ?? "",
    namespace: deployment.metadata?.namespace ?? "",
    ...readEnvironment(container?.env, annotations),
    ...(constraints.length > 0 && { constraints }),
    ...(secrets.length > 0 && { secrets }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations: sortKeys(annotations) }),
    ...(limits && { limits }),
    ...(requests && { requests }),
    ...(container?.securityContext?.readOnlyRootFilesystem && { readOnlyRootFilesystem: true }),
  };
}
