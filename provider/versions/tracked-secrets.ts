import { createHash } from "node:crypto";
import type { FunctionRef } from "../../contract/functions.ts";
import type { SecretName } from "../../contract/secrets.ts";
import { SECRETS_REVISION, SECRETS_TRACK } from "../../contract/versions/function-versions.ts";
import type { Logger } from "../../kit/log.ts";
import type { FunctionStore, ResolvedDeployment, SecretStore } from "../backends/backend.ts";
import { deployedOf } from "./units.ts";

/** Of a function that wants it, the deployment with a mark of the values that its secrets have now; others lose such a mark. */
export async function withSecretsRevision(
  deployment: ResolvedDeployment,
  secrets: Pick<SecretStore, "revision">,
): Promise<ResolvedDeployment> {
  const { [SECRETS_REVISION]: given, ...annotations } = deployment.annotations ?? {};
  const names = [...new Set(deployment.secrets ?? [])].sort();
  const { namespace } = deployment;
  if (annotations[SECRETS_TRACK] !== "true" || names.length === 0) {
    return given === undefined ? deployment : { ...deployment, annotations };
  }
  const revisions = await Promise.all(names.map((name) => secrets.revision?.({ name, namespace })));
  const text = names.map((name, at) => `${name}=${revisions[at] ?? ""}`).join("\n");
  const revision = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { ...deployment, annotations: { ...annotations, [SECRETS_REVISION]: revision } };
}

export interface TrackedSecretsParts {
  readonly secrets: SecretStore;
  /** Of the backend: each version beside a function is one of them. */
  readonly functions: FunctionStore;
  /** Deploys a function once more as it is. */
  deploy(deployment: ResolvedDeployment): Promise<void>;
  readonly log: Pick<Logger, "warn">;
}

/** Secrets whose new values are new versions of the functions that want that. */
export function trackSecrets({ secrets, functions, deploy, log }: TrackedSecretsParts): SecretStore {
  const spread = async (secret: SecretName) => {
    const statuses = await functions.list(secret.namespace);
    const users = statuses.filter(
      ({ name, annotations = {}, secrets: names = [] }) =>
        !name.includes("@") && annotations[SECRETS_TRACK] === "true" && names.includes(secret.name),
    );
    for (const { name } of users) await redeploy({ name, namespace: secret.namespace }, secret);
  };
  /** The value is changed already, whatever comes of it. */
  const redeploy = async (ref: FunctionRef, secret: SecretName) => {
    try {
      const present = await deployedOf(functions, ref);
      if (present) await deploy(present);
    } catch (err) {
      const facts = { function: ref.name, namespace: ref.namespace, secret: secret.name, err };
      log.warn(facts, "could not make a version of a secret's new value");
    }
  };
  return {
    list: (namespace) => secrets.list(namespace),
    ...(secrets.revision && { revision: secrets.revision.bind(secrets) }),
    create: async (secret, value) => {
      await secrets.create(secret, value);
      await spread(secret);
    },
    update: async (secret, value) => {
      await secrets.update(secret, value);
      await spread(secret);
    },
    remove: (secret, force) => secrets.remove(secret, force),
  };
}
