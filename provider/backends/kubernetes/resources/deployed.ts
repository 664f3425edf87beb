import type { V1Deployment } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../../backend.ts";
import { ANNOTATIONS, VERSION_LABEL } from "./names.ts";
import { functionContainer, readDeployment } from "./read-deployment.ts";

/** What of a deployment cannot be read from its Deployment as it was given. */
type Given = Pick<ResolvedDeployment, "version" | "digest" | "image" | "constraints" | "limits" | "requests">;

/** What a container runs: the very image that the name meant, where that is known. */
export function imageByDigest({ image, digest }: Pick<ResolvedDeployment, "image" | "digest">): string {
  return digest === undefined || image.includes("@") ? image : `${image}@${digest}`;
}

/** The annotation from which {@link readDeployed} knows what was given; undefined where nobody keeps versions. */
export function formatGiven(deployment: ResolvedDeployment): string | undefined {
  const { version, digest, image, constraints, limits, requests } = deployment;
  if (version === undefined) return undefined;
  return JSON.stringify({ version, digest, image, constraints, limits, requests } satisfies Record<
    keyof Given,
    unknown
  >);
}

/** Undefined also when somebody else has replaced the image meanwhile. */
function readGiven(deployment: V1Deployment): Given | undefined {
  const text = deployment.metadata?.annotations?.[ANNOTATIONS.given];
  if (text === undefined) return undefined;
  try {
    const given = JSON.parse(text) as Given;
    const isSound = typeof given?.image === "string" && typeof given.version === "string";
    return isSound && functionContainer(deployment)?.image === imageByDigest(given) ? given : undefined;
  } catch {
    return undefined;
  }
}

/** What a function or version was last deployed with, as it was given. */
export function readDeployed(deployment: V1Deployment): ResolvedDeployment {
  const read = readDeployment(deployment);
  const given = readGiven(deployment);
  if (!given) return read;
  const { constraints: _c, limits: _l, requests: _r, ...rest } = read;
  return { ...rest, ...given };
}

/** The version that a function's own replicas run, or that it is; undefined where nobody has said. */
export function versionOf(deployment: V1Deployment): string | undefined {
  return readGiven(deployment)?.version ?? deployment.metadata?.labels?.[VERSION_LABEL];
}

/**
 * The version that new pods of a function are labelled with: another one only with another version, as a label that changes by
 * itself would start them all anew.
 * @param existing the Deployment there is
 */
export function versionMark(
  existing: V1Deployment,
  { version }: Pick<ResolvedDeployment, "version">,
): string | undefined {
  const before = versionOf(existing);
  const isSame = version === undefined || before === version || (before === undefined && version === FIRST);
  return isSame ? existing.spec?.template.metadata?.labels?.[VERSION_LABEL] : version;
}

/** The version of what was there before versions were counted. */
export const FIRST = "v1";
