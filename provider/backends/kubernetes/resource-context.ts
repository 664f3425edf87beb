import type { V1Secret } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../backend.ts";
import type { InformerCache } from "./cache/informer-cache.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { buildAnnounce } from "./resources/announce-token.ts";
import { type Profile, profileNames } from "./resources/profile.ts";
import { isUsableSecret } from "./resources/secret.ts";
import type { ResourceContext, ResourceSettings, SecretFacts } from "./resources/settings.ts";

export interface ResourceContextOptions {
  readonly client: Pick<KubernetesClient, "find">;
  readonly settings: ResourceSettings;
  readonly profilesNamespace: string;
  /** Where replicas report that they listen; absent when they need not. */
  readonly announceUrl?: URL;
  /** Knows the function's token; the Deployment has to have been learnt by it. */
  readonly cache: Pick<InformerCache, "find">;
}

/**
 * The secrets and profiles that a deployment names, as far as they exist and are for functions, and how its replicas
 * announce themselves.
 */
export async function readResourceContext(
  { service: name, namespace, secrets = [], annotations }: ResolvedDeployment,
  { client, settings, profilesNamespace, announceUrl, cache }: ResourceContextOptions,
): Promise<ResourceContext> {
  const facts = new Map<string, SecretFacts>();
  const profiles = new Map<string, Profile>();
  const readSecret = async (name: string) => {
    const found = await findNamed<V1Secret>(client, apiPath.secret(namespace, encodeURIComponent(name)));
    if (!found || !isUsableSecret(found)) return;
    const version = found.metadata?.resourceVersion;
    facts.set(name, { type: found.type ?? "Opaque", ...(version && { version }) });
  };
  const readProfile = async (name: string) => {
    const path = apiPath.profile(profilesNamespace, encodeURIComponent(name));
    const found = await findNamed<Profile>(client, path);
    if (found) profiles.set(name, found);
  };
  await Promise.all([
    ...[...new Set(secrets)].filter((name) => name !== "").map(readSecret),
    ...profileNames(annotations).map(readProfile),
  ]);
  const announce = announceUrl && buildAnnounce(announceUrl, cache.find({ name, namespace }));
  return { settings, secrets: facts, profiles, ...(announce && { announce }) };
}

/** Names that are no names are refused with 400 rather than not found. */
async function findNamed<T>(client: Pick<KubernetesClient, "find">, path: string): Promise<T | undefined> {
  try {
    return await client.find<T>(path);
  } catch (error) {
    if (hasStatus(error, 400)) return undefined;
    throw error;
  }
}
