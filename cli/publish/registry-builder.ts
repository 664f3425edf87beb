import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildImage } from "../../oci/build-image.ts";
import { executableLayers } from "../../oci/executable-layer.ts";
import { type Platform, parsePlatform } from "../../oci/manifests.ts";
import type { ContextBuilder } from "../build/build-functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { registryClients } from "./registry-clients.ts";
import { secretVariables } from "./secret-variables.ts";

export interface RegistryBuilderSettings {
  /** As `linux/amd64`; this machine's when empty. */
  readonly platforms: readonly string[];
  /** Registries, besides those of this machine, that are spoken to without TLS. */
  readonly insecure: readonly string[];
  /** Executables of the watchdog that were made elsewhere, for other machines or another Node. */
  readonly watchdogs: readonly string[];
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ppc64: "ppc64le" };
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const MAX_OUTPUT_BYTES = 10 * 1024 ** 2;

/**
 * Builds images on this machine without an engine, and puts them into their registries.
 * @throws {CliError} when a platform or the Docker client's configuration is malformed
 */
export async function registryBuilder(
  io: Pick<Io, "env" | "home" | "cwd" | "sourceRoot">,
  settings: RegistryBuilderSettings,
): Promise<ContextBuilder> {
  const here: Platform = { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch };
  const platforms = settings.platforms.length === 0 ? [here] : settings.platforms.map(platformOf);
  const clientOf = await registryClients(io, settings.insecure);
  const bundle = join(io.sourceRoot, "dist", "watchdog.mjs");
  const executable = executableLayers({
    bundle,
    given: settings.watchdogs.map((file) => resolve(io.cwd, file)),
    here,
    cacheDir: join(io.env.XDG_CACHE_HOME || join(io.home, ".cache"), "faaslane"),
  });
  const env = Object.fromEntries(
    Object.entries(io.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return {
    takesSecrets: true,
    async *build(folder, { image, buildArgs }, signal, secrets) {
      const secret = await secretVariables(secrets);
      yield* buildImage(
        {
          folder,
          image,
          buildArgs: buildArgs ?? {},
          platforms,
          here,
          watchdog: bundle,
          executable,
          tmp: tmpdir(),
          env: { ...env, ...secret.env },
          secretTexts: secret.texts,
          timeoutMs: INSTALL_TIMEOUT_MS,
          maxOutputBytes: MAX_OUTPUT_BYTES,
          clientOf,
        },
        signal,
      );
    },
  };
}

function platformOf(text: string): Platform {
  try {
    return parsePlatform(text);
  } catch (error) {
    throw new CliError(`--platforms: ${(error as Error).message}`);
  }
}
