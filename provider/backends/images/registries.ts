import { readFile } from "node:fs/promises";
import { FaasError } from "../../../contract/errors.ts";
import type { Credentials } from "../../../kit/basic-auth.ts";
import { findLogin } from "../../../oci/docker-config.ts";
import { parseImageReference } from "../../../oci/image-reference.ts";
import { RegistryClient } from "../../../oci/registry-client.ts";
import type { ImageSettings } from "./settings.ts";

/**
 * The full name of an image: one that names no registry is below ours.
 * @throws {FaasError} `invalid`
 */
export function targetOf(image: string, { registry }: Pick<ImageSettings, "registry">): string {
  const first = image.slice(0, Math.max(0, image.indexOf("/")));
  const named = first === "localhost" || /[.:]/.test(first) ? image : `${registry}/${image}`;
  try {
    parseImageReference(named);
  } catch (cause) {
    throw new FaasError("invalid", `config: image: ${(cause as Error).message}`, { cause });
  }
  return named;
}

/**
 * Clients of registries for one build, each the same one every time.
 * @param credentials the platform's own
 * @throws {FaasError} `internal` when the file with logins cannot be read
 */
export async function openClients(
  { registry: prefix, registryUrl, configFile, platformLogin }: ImageSettings,
  credentials: Credentials | undefined,
): Promise<(registry: string) => RegistryClient> {
  const config = configFile === undefined ? undefined : await readFile(configFile, "utf8");
  const own = prefix.split("/", 1)[0];
  const clients = new Map<string, RegistryClient>();
  const loginOf = (registry: string) => {
    if (registry === own && platformLogin && credentials) {
      return { username: credentials.user, password: credentials.password };
    }
    return config === undefined ? undefined : findLogin(config, registry);
  };
  return (registry) => {
    const known = clients.get(registry);
    if (known) return known;
    const url = registry === own ? registryUrl : undefined;
    const client = new RegistryClient({ registry, login: loginOf(registry), ...(url && { url }) });
    clients.set(registry, client);
    return client;
  };
}
