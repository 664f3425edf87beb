import type { V1Secret, V1ServiceAccount } from "@kubernetes/client-node";
import { isDnsSubdomain } from "../../../contract/names.ts";
import { ROLLBACK_WINDOW, VERSION_KEEP, VERSION_NAME } from "../../../contract/versions/function-versions.ts";
import { ROLLOUT } from "../../../contract/versions/rollout-settings.ts";
import { TRAFFIC } from "../../../contract/versions/traffic.ts";
import type { Logger } from "../../../kit/log.ts";
import type { RegistryLogin } from "../../../oci/docker-config.ts";
import { type ImageReference, parseImageReference } from "../../../oci/image-reference.ts";
import { RegistryClient } from "../../../oci/registry-client.ts";
import { RegistryError } from "../../../oci/registry-error.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { ANNOTATIONS } from "./resources/names.ts";
import { loginIn } from "./resources/pull-logins.ts";
import type { DigestRule } from "./resources/settings.ts";

export interface ImageDigestsOptions {
  readonly client: Pick<KubernetesClient, "find">;
  readonly imageDigests: DigestRule;
  readonly log: Pick<Logger, "warn">;
}

/** Of a deploy, which goes on without. */
const WITHIN_MS = 2_000;
/** Of a function and its service account; each is a request. */
const MAX_SECRETS = 10;

const SETTINGS: ReadonlySet<string> = new Set([TRAFFIC, ROLLOUT, ROLLBACK_WINDOW, VERSION_NAME, VERSION_KEEP]);

/** Whether somebody wants more of a function's versions than the newest one. */
export function hasVersionSettings({ annotations = {} }: Pick<ResolvedDeployment, "annotations">): boolean {
  return Object.keys(annotations).some((key) => SETTINGS.has(key));
}

/** Asks registries what images are now, with the logins that a kubelet would use. */
export class ImageDigests {
  readonly #options: ImageDigestsOptions;

  constructor(options: ImageDigestsOptions) {
    this.#options = options;
  }

  /** Undefined where nobody wants to know, and where it cannot be found out: the nodes may know better, or have the image. */
  async find(deployment: ResolvedDeployment): Promise<string | undefined> {
    const reference = parse(deployment.image);
    if (!reference || reference.digest !== undefined) return reference?.digest;
    const { imageDigests: rule, log } = this.#options;
    if (rule === "never" || (rule === "versions" && !hasVersionSettings(deployment))) return undefined;
    try {
      return await this.#ask(deployment, reference, AbortSignal.timeout(WITHIN_MS));
    } catch (err) {
      const { service, namespace, image } = deployment;
      log.warn({ err, function: service, namespace, image }, "the digest of an image cannot be found out");
      return undefined;
    }
  }

  async #ask(deployment: ResolvedDeployment, reference: ImageReference, signal: AbortSignal): Promise<string> {
    const { registry, repository, tag = "latest" } = reference;
    const logins = await this.#logins(deployment, registry, signal);
    // As the kubelet does: one login after the other, and without one where there is none.
    for (const login of logins.length > 0 ? logins : [undefined]) {
      try {
        return await new RegistryClient({ registry, login }).resolveDigest(repository, tag, signal);
      } catch (error) {
        const isRefused = error instanceof RegistryError && (error.status === 401 || error.status === 403);
        if (!isRefused || login === logins.at(-1)) throw error;
      }
    }
    throw new Error("there is nothing to try");
  }

  async #logins(
    { namespace, secrets = [], annotations = {} }: ResolvedDeployment,
    registry: string,
    signal: AbortSignal,
  ): Promise<RegistryLogin[]> {
    const { client } = this.#options;
    const account = annotations[ANNOTATIONS.serviceAccount] || "default";
    // An account of before there were versions may not read them, and some registries need no login.
    const path = apiPath.serviceAccount(namespace, account);
    const found = isDnsSubdomain(account)
      ? await client.find<V1ServiceAccount>(path, signal).catch(() => undefined)
      : undefined;
    const named = [...secrets, ...(found?.imagePullSecrets ?? []).flatMap(({ name }) => name ?? [])];
    const names = [...new Set(named)].filter(isDnsSubdomain).slice(0, MAX_SECRETS);
    const logins = names.map(async (name) => {
      const secret = await client.find<V1Secret>(apiPath.secret(namespace, name), signal);
      return secret && loginIn(secret, registry);
    });
    return (await Promise.all(logins)).filter((login) => login !== undefined);
  }
}

function parse(image: string): ImageReference | undefined {
  try {
    return parseImageReference(image);
  } catch {
    return undefined;
  }
}
