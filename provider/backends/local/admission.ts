import { sinkProblems } from "../../../contract/events/sink-binding.ts";
import { brokenRules, definitionProblems, missingSecret, quantityProblems } from "../../../contract/functions.ts";
import { callPolicyProblems } from "../../../contract/policies/call-policy.ts";
import type { SecretName } from "../../../contract/secrets.ts";
import { timeoutProblems } from "../../../contract/timeouts.ts";
import { versionSettingProblems } from "../../../contract/versions/settings.ts";
import type { ResolvedDeployment } from "../backend.ts";
import { networkProblems } from "../network-annotation.ts";
import { probeProblems } from "../probe-annotations.ts";
import { readScaleBounds, type ScaleBounds, type ScaleRules, scaleProblems } from "../scale-labels.ts";
import { type Artefact, type ArtefactReference, parseArtefactReference } from "./images.ts";

/** What a deployment is checked against. */
export interface AdmissionContext extends ScaleRules {
  hasSecret(secret: SecretName): boolean;
  resolveImage(image: string): Artefact | undefined;
  /** Functions run behind a wall of namespaces. */
  readonly walled: boolean;
  /** Where functions that send events reach the gateway, as far as that is known by now. */
  readonly gatewayUrl?: (() => string | undefined) | undefined;
}

/** What a sound deployment comes to here. */
export interface Admission {
  readonly digest: string;
  readonly bounds: ScaleBounds;
}

/**
 * All checks but those of namespace and existence, in the order of faas-netes: name, secrets, image, specification.
 * @throws {FaasError} `invalid` with every rule broken, in one message
 */
export function admit(deployment: ResolvedDeployment, around: AdmissionContext): Admission {
  const { service, namespace, image, secrets = [], labels = {} } = deployment;
  const artefact = image === "" ? undefined : around.resolveImage(pinnedImage(deployment));
  const own = labels.faas_function;
  const problems = [
    ...definitionProblems(deployment),
    ...[...new Set(secrets)].flatMap((name) => (around.hasSecret({ name, namespace }) ? [] : [missingSecret(name)])),
    ...(artefact || image === "" ? [] : [missingImage(parseArtefactReference(image))]),
    ...quantityProblems(deployment),
    ...environmentProblems(deployment),
    ...networkProblems(deployment, around.walled),
    ...probeProblems(deployment.annotations),
    ...timeoutProblems(deployment.annotations),
    ...callPolicyProblems(deployment.annotations),
    ...sinkProblems(deployment, around.gatewayUrl?.()),
    ...versionSettingProblems(deployment.annotations),
    ...(own === undefined || own === service ? [] : [`labels.faas_function: is set by the platform to "${service}"`]),
    ...scaleProblems(deployment, around),
  ];
  if (problems.length > 0 || !artefact) throw brokenRules(problems);
  return { digest: artefact.digest, bounds: readScaleBounds(deployment, around) };
}

/** Its image, by digest where that is given: whatever the name means by now. */
export function pinnedImage({ image, digest }: Pick<ResolvedDeployment, "image" | "digest">): string {
  return digest === undefined || image.includes("@sha256:") ? image : `${image}@${digest}`;
}

function missingImage({ name, tag, digest }: ArtefactReference): string {
  const reference = digest === undefined ? `${name}:${tag}` : `${name}@sha256:${digest}`;
  return `image "${reference}" has not been built here; run "faaslane up", or "faaslane build" and then deploy again`;
}

// What the kernel takes for one string and, with room to spare, for all of them; beyond it no process would start.
const MAX_VARIABLE_BYTES = 128 * 1024 - 1;
const MAX_ENVIRONMENT_BYTES = 1024 * 1024;

function environmentProblems({ envProcess, envVars = {} }: ResolvedDeployment): string[] {
  let total = 0;
  const check = (field: string, name: string, value: string): string[] => {
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 1;
    total += bytes;
    return [
      ...(value.includes("\0") ? [`${field}: must not contain NUL`] : []),
      ...(bytes > MAX_VARIABLE_BYTES ? [`${field}: is longer than 128 KiB`] : []),
    ];
  };
  const problems = [
    ...(envProcess === undefined ? [] : check("envProcess", "fprocess", envProcess)),
    ...Object.entries(envVars).flatMap(([name, value]) =>
      /^[!-<>-~]+$/.test(name)
        ? check(`envVars.${name}`, name, value)
        : [`envVars: ${JSON.stringify(name)} is not a name of printable ASCII without "="`],
    ),
  ];
  return total > MAX_ENVIRONMENT_BYTES ? [...problems, "envVars: is larger than 1 MiB altogether"] : problems;
}
