import { access } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FaasError } from "../../contract/errors.ts";
import { FEATURES } from "../../contract/info.ts";
import type { Credentials } from "../../kit/basic-auth.ts";
import type { Logger } from "../../kit/log.ts";
import { StartError } from "../../kit/process.ts";
import { readVersion } from "../../kit/version.ts";
import type { Backend, Builder } from "./backend.ts";
import type { BuildLimits } from "./build/limits.ts";
import type { BuildPodSettings, ImageSettings } from "./images/settings.ts";
import type { StepsBuilder } from "./images/steps-builder.ts";
import type { ClusterLocation } from "./kubernetes/client/cluster-access.ts";
import type { KubernetesSettings } from "./kubernetes/resources/read-settings.ts";
import type { LocalBuilder } from "./local/build/builder.ts";
import type { SandboxSetting } from "./local/sandbox/level.ts";

export interface BackendSettings {
  readonly backend: "local" | "kubernetes";
  readonly dataDir: string;
  readonly secretMountPath: string;
  readonly sandbox: SandboxSetting;
  readonly sandboxTmpBytes: number;
  readonly functionDiskBytes: number;
  readonly imageKeepMs: number;
  readonly defaultNamespace: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stepEnvironment: Readonly<Record<string, string | undefined>>;
  readonly build: Partial<BuildLimits>;
  readonly images: ImageSettings | undefined;
  readonly buildPods: BuildPodSettings | undefined;
  readonly builderUrl: URL | undefined;
  readonly kubernetes: KubernetesSettings;
  readonly cluster: ClusterLocation;
  /** Where functions of the backend `local` reach the gateway, as far as that is known by now. */
  readonly gatewayUrl: () => string | undefined;
}

/**
 * Opens the backend that the settings name; only its own modules are loaded.
 * @param credentials the platform's own
 * @throws {StartError} when the installation is incomplete; whatever the backend throws
 */
export async function openBackend(
  settings: BackendSettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<Backend> {
  switch (settings.backend) {
    case "local":
      return await openLocal(settings, log);
    case "kubernetes":
      return await withImageBuilder(await openKubernetes(settings, log), settings, credentials, log);
  }
}

async function openLocal(settings: BackendSettings, log: Logger): Promise<Backend> {
  const { dataDir, defaultNamespace, environment, stepEnvironment, sandbox, sandboxTmpBytes: tmpBytes } = settings;
  const [{ openLocalBackend }, { openBuilder }] = await Promise.all([
    import("./local/local-backend.ts"),
    import("./local/build/builder.ts"),
  ]);
  let builder: LocalBuilder | undefined;
  const backend = await openLocalBackend({
    dataDir,
    defaultNamespace,
    environment,
    gatewayUrl: settings.gatewayUrl,
    log,
    probes: settings.kubernetes.resources,
    httpProbe: settings.kubernetes.resources.httpProbe,
    scaleDefaults: settings.kubernetes.resources.scaleDefaults,
    sandbox,
    tmpBytes,
    diskBytes: settings.functionDiskBytes,
    imageKeepMs: settings.imageKeepMs,
    hidden: [settings.secretMountPath],
    version: readVersion(),
    nodePath: process.execPath,
    watchdogPath: await findWatchdog(),
    openBuilder: (images, orphans, isolation) => {
      builder = openBuilder({ dataDir, images, log, limits: settings.build, env: stepEnvironment, orphans, isolation });
      return builder;
    },
  });
  return {
    ...backend,
    // Builds register what they made with the backend, so they end before it does.
    close: async (drainTimeoutMs) => {
      await builder?.close();
      await backend.close(drainTimeoutMs);
    },
  };
}

async function openKubernetes(settings: BackendSettings, log: Logger): Promise<Backend> {
  const { kubernetes, cluster, defaultNamespace } = settings;
  const [{ openKubernetesBackend }, { openClusterAccess }] = await Promise.all([
    import("./kubernetes/kubernetes-backend.ts"),
    import("./kubernetes/client/cluster-access.ts"),
  ]);
  try {
    const access = await openClusterAccess(cluster);
    return openKubernetesBackend({ access, settings: kubernetes, defaultNamespace, version: readVersion(), log });
  } catch (cause) {
    if (cause instanceof FaasError) throw new StartError(cause.message, { cause });
    throw cause;
  }
}

/** Adds builds to a backend whose functions run from a registry, if there is one. */
async function withImageBuilder(
  backend: Backend,
  settings: BackendSettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<Backend> {
  const opened = await openBuilders(settings, credentials, log);
  if (!opened) return backend;
  return {
    ...backend,
    info: { ...backend.info, features: [...(backend.info.features ?? []), FEATURES.build] },
    builder: opened.builder,
    close: async (drainTimeoutMs) => {
      await opened.close();
      await backend.close(drainTimeoutMs);
    },
  };
}

interface OpenBuilders {
  readonly builder: Builder;
  close(): Promise<void>;
}

async function openBuilders(
  settings: BackendSettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenBuilders | undefined> {
  const { images, builderUrl, buildPods, secretMountPath, dataDir, build: limits } = settings;
  const own = images && (!builderUrl || buildPods) ? await openOwn(settings, images, credentials, log) : undefined;
  if (!builderUrl) return own;
  const { openRemoteBuilder } = await import("./images/remote-builder.ts");
  const secretFile = join(secretMountPath, "payload-secret");
  const remote = openRemoteBuilder({ url: builderUrl, secretFile, dataDir, limits });
  if (!own) return { builder: remote, close: async () => {} };
  const { builderByRecipe } = await import("./images/builder-by-recipe.ts");
  // What installs packages has no business beside the credentials of a cluster.
  return { builder: builderByRecipe({ plain: remote, stepped: own.builder, dataDir, limits }), close: own.close };
}

async function openOwn(
  { buildPods, cluster, dataDir, stepEnvironment: env, build: limits }: BackendSettings,
  images: ImageSettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenBuilders> {
  const [{ openImageBuilder }, watchdog] = await Promise.all([import("./images/image-builder.ts"), findWatchdog()]);
  let steps: (StepsBuilder & { close(): void }) | undefined;
  if (buildPods) {
    const { openBuildPodsAt } = await import("./kubernetes/builds/open-build-pods.ts");
    steps = await openBuildPodsAt({ cluster, settings: buildPods, images, credentials, log });
  }
  const builder = openImageBuilder({ dataDir, settings: images, credentials, watchdog, steps, limits, env, log });
  return {
    builder,
    close: async () => {
      await builder.close();
      steps?.close();
    },
  };
}

async function findWatchdog(): Promise<string> {
  const path = fileURLToPath(new URL("../../dist/watchdog.mjs", import.meta.url));
  try {
    await access(path);
  } catch (cause) {
    throw new StartError("dist/watchdog.mjs is missing; run: node watchdog/bundle.mjs", { cause });
  }
  return path;
}
