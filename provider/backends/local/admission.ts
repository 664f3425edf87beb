import { FaasError } from "../../contract/errors.ts";
import { validateResources } from "../../contract/functions.ts";
import type { SecretName } from "../../contract/secrets.ts";
import type { ResolvedDeployment } from "../backend.ts";
import { parseScaleLabels, type ScaleBounds } from "../scale-labels.ts";
import { type Artefact, type ImageReference, parseImageReference } from "./images.ts";

/** What a deployment is checked against. */
export interface Surroundings {
  hasSecret(secret: SecretName): boolean;
  resolveImage(image: string): Artefact | undefined;
  readonly maxReplicas: number;
}

/** What a sound deployment comes to here. */
export interface Admission {
  readonly digest: string;
  readonly bounds: ScaleBounds;
}

/**
 * The checks that follow those of namespace and existence, in the order of faas-netes: secrets, image, specification.
 * @throws {FaasError} `invalid` with the first rule broken
 */
export function admit(deployment: ResolvedDeployment, around: Surroundings): Admission {
  const { service, namespace, image, secrets = [], labels = {} } = deployment;
  for (const name of secrets) {
    if (!around.hasSecret({ name, namespace })) {
      throw new FaasError("invalid", `unable to fetch secrets: secrets "${name}" not found`);
    }
  }
  const artefact = around.resolveImage(image);
  if (!artefact) throw new FaasError("invalid", missingImage(parseImageReference(image)));
  validateResources(deployment);
  validateEnvironment(deployment);
  const own = labels.faas_function;
  if (own !== undefined && own !== service) {
    throw new FaasError("invalid", `labels.faas_function: is set by the platform to "${service}"`);
  }
  return { digest: artefact.digest, bounds: parseScaleLabels(labels, around.maxReplicas) };
}

function missingImage({ name, tag, digest }: ImageReference): string {
  const reference = digest === undefined ? `${name}:${tag}` : `${name}@sha256:${digest}`;
  return `image "${reference}" has not been built here; run "faaslane up", or "faaslane build" and then deploy again`;
}

// What the kernel takes for one string and, with room to spare, for all of them; beyond it no process would start.
const MAX_VARIABLE_BYTES = 128 * 1024 - 1;
const MAX_ENVIRONMENT_BYTES = 1024 * 1024;

function validateEnvironment({ envProcess, envVars = {} }: ResolvedDeployment): void {
  let total = 0;
  const check = (field: string, name: string, value: string) => {
    if (value.includes("\0")) throw new FaasError("invalid", `${field}: must not contain NUL`);
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 1;
    if (bytes > MAX_VARIABLE_BYTES) throw new FaasError("invalid", `${field}: is longer than 128 KiB`);
    total += bytes;
  };
  if (envProcess !== undefined) check("envProcess", "fprocess", envProcess);
  for (const [name, value] of Object.entries(envVars)) {
    if (!/^[!-<>-~]+$/.test(name)) {
      throw new FaasError("invalid", `envVars: ${JSON.stringify(name)} is not a name of printable ASCII without "="`);
    }
    check(`envVars.${name}`, name, value);
  }
  if (total > MAX_ENVIRONMENT_BYTES) throw new FaasError("invalid", "envVars: is larger than 1 MiB altogether");
}
