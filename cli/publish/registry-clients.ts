import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findLogin } from "../../oci/docker-config.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";

/**
 * A client for each registry, with the logins of Docker's client.
 * @param insecure registries, besides those of this machine, that are spoken to without TLS
 * @throws {CliError} when the Docker client's configuration cannot be read
 */
export async function registryClients(
  io: Pick<Io, "env" | "home" | "cwd">,
  insecure: readonly string[],
): Promise<(registry: string) => RegistryClient> {
  const config = await readDockerConfig(io);
  const clients = new Map<string, RegistryClient>();
  return (registry) => {
    const known = clients.get(registry);
    if (known) return known;
    const login = config === undefined ? undefined : findLogin(config, registry);
    const isInsecure = insecure.includes(registry);
    const client = new RegistryClient({ registry, login, ...(isInsecure && { insecure: true }) });
    clients.set(registry, client);
    return client;
  };
}

/** @returns undefined when there is none */
async function readDockerConfig({ env, home, cwd }: Pick<Io, "env" | "home" | "cwd">): Promise<string | undefined> {
  const folder = env.DOCKER_CONFIG ? resolve(cwd, env.DOCKER_CONFIG) : join(home, ".docker");
  const file = join(folder, "config.json");
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`);
  }
}
