import { sinkProblems } from "../../../../contract/events/sink-binding.ts";
import { brokenRules, definitionProblems, missingSecret } from "../../../../contract/functions.ts";
import { isDnsSubdomain } from "../../../../contract/names.ts";
import { callPolicyProblems } from "../../../../contract/policies/call-policy.ts";
import { timeoutProblems } from "../../../../contract/timeouts.ts";
import { versionSettingProblems } from "../../../../contract/versions/settings.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import { probeProblems } from "../../probe-annotations.ts";
import { parseQuantity } from "../../quantity.ts";
import { type ScaleRules, scaleProblems } from "../../scale-labels.ts";
import { constraintProblems, isLabelValue, isQualifiedName } from "./constraints.ts";
import { RESERVED_VARIABLES } from "./environment.ts";
import { ANNOTATIONS, FUNCTION_LABEL, FUNCTION_PORT, PLATFORM_ACCOUNT } from "./names.ts";
import { profileProblems } from "./profile.ts";
import { isReservedAnnotation, isReservedLabel } from "./reserved-keys.ts";
import type { ResourceContext, ResourceSettings } from "./settings.ts";
import { isUnitName } from "./version-unit.ts";

type Facts = Pick<ResourceContext, "secrets" | "profiles"> & {
  readonly settings: ScaleRules & Pick<ResourceSettings, "gatewayUrl">;
};

/** What the API server takes for all annotations of an object. */
const MAX_ANNOTATION_BYTES = 256 * 1024;
/** Room for the rest of the object, which may have 1.5 MiB altogether. */
const MAX_ENVIRONMENT_BYTES = 1024 * 1024;

/** Every rule that `deployment` breaks, one line each, in the order of faas-netes; none means it can be built. */
export function deploymentProblems(given: ResolvedDeployment, around: Facts): string[] {
  // The rules for a version are those for its function.
  const deployment = isUnitName(given.service) ? { ...given, service: parseVersionedName(given.service).name } : given;
  const { annotations, constraints } = deployment;
  return [
    ...identityProblems(deployment),
    ...labelProblems(deployment, around.settings),
    ...secretProblems(deployment, around),
    ...environmentProblems(deployment),
    ...resourceProblems(deployment),
    ...constraintProblems(constraints),
    ...annotationProblems(deployment),
    ...probeProblems(annotations),
    ...timeoutProblems(annotations),
    ...callPolicyProblems(annotations),
    ...sinkProblems(deployment, around.settings.gatewayUrl),
    ...versionSettingProblems(annotations),
    ...profileProblems(annotations, around.profiles),
  ];
}

/** @throws {FaasError} `invalid` with every rule that `deployment` breaks, in one message */
export function checkDeployment(deployment: ResolvedDeployment, around: Facts): void {
  const problems = deploymentProblems(deployment, around);
  if (problems.length > 0) throw brokenRules(problems);
}

function identityProblems(deployment: ResolvedDeployment): string[] {
  const spaced = /\s/.test(deployment.image) ? ["image: must not contain spaces"] : [];
  return [...definitionProblems(deployment), ...spaced];
}

function labelProblems(deployment: ResolvedDeployment, rules: ScaleRules): string[] {
  const { service, labels = {} } = deployment;
  const own = labels[FUNCTION_LABEL];
  return [
    ...(own === undefined || own === service ? [] : [`labels.faas_function: is set by the platform to "${service}"`]),
    ...Object.entries(labels).flatMap(([key, value]) => {
      if (!isQualifiedName(key)) return [`labels: "${key}" is not the name of a label`];
      if (isReservedLabel(key)) return [`labels.${key}: is for the platform and the cluster to set`];
      return isLabelValue(value)
        ? []
        : [`labels.${key}: "${value}" is not a label's value, at most 63 of A-Za-z0-9-_.`];
    }),
    ...scaleProblems(deployment, rules),
  ];
}

function secretProblems({ secrets = [] }: ResolvedDeployment, { secrets: known }: Facts): string[] {
  return [...new Set(secrets)].flatMap((name) => (known.has(name) ? [] : [missingSecret(name)]));
}

function environmentProblems({ envProcess, envVars = {} }: ResolvedDeployment): string[] {
  const { port } = envVars;
  let bytes = 0;
  const problems = Object.entries({ ...envVars, fprocess: envProcess ?? "" }).flatMap(([name, value]) => {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    const field = name === "fprocess" && envProcess ? "envProcess" : `envVars.${name}`;
    if (!/^[!-<>-~]+$/.test(name)) {
      return [`envVars: ${JSON.stringify(name)} is not a name of printable ASCII without "="`];
    }
    if (RESERVED_VARIABLES.has(name)) return [`${field}: is set by the platform`];
    return value.includes("\0") ? [`${field}: must not contain NUL`] : [];
  });
  if (port !== undefined && port !== String(FUNCTION_PORT)) {
    problems.push(`envVars.port: must be ${FUNCTION_PORT}, where functions are called`);
  }
  if (bytes > MAX_ENVIRONMENT_BYTES) problems.push("envVars: is larger than 1 MiB altogether");
  return problems;
}

function resourceProblems({ limits = {}, requests = {} }: ResolvedDeployment): string[] {
  const problems = Object.entries({ limits, requests }).flatMap(([group, resources]) =>
    Object.entries(resources).flatMap(([field, text]) =>
      !text || parseQuantity(text) !== undefined
        ? []
        : [`${group}.${field}: "${text}" is not a quantity such as 128Mi or 100m`],
    ),
  );
  for (const field of ["memory", "cpu"] as const) {
    const [limit, request] = [parseQuantity(limits[field] ?? ""), parseQuantity(requests[field] ?? "")];
    if (limit !== undefined && request !== undefined && request > limit) {
      problems.push(`requests.${field}: ${requests[field]} is more than limits.${field}: ${limits[field]}`);
    }
  }
  return problems;
}

function annotationProblems({ annotations = {} }: ResolvedDeployment): string[] {
  let bytes = 0;
  const problems = Object.entries(annotations).flatMap(([key, value]) => {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (isReservedAnnotation(key)) return [`annotations.${key}: is for the cluster's administrators to set`];
    // Kubernetes folds the prefix to lower case before it looks, here as in labels.
    return isQualifiedName(key.toLowerCase()) ? [] : [`annotations: "${key}" is not the name of an annotation`];
  });
  if (bytes > MAX_ANNOTATION_BYTES) problems.push("annotations: are larger than 256 KiB altogether");
  const account = annotations[ANNOTATIONS.serviceAccount];
  if (account !== undefined && !isDnsSubdomain(account)) {
    problems.push(`annotations.${ANNOTATIONS.serviceAccount}: "${account}" is not the name of a service account`);
  }
  if (account === PLATFORM_ACCOUNT) {
    problems.push(`annotations.${ANNOTATIONS.serviceAccount}: "${account}" is the platform's own`);
  }
  return problems;
}
