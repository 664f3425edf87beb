import { realpath } from "node:fs/promises";
import { availableParallelism, homedir } from "node:os";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { FEATURES, type ProviderInfo, type VersionInfo } from "../../../contract/info.ts";
import { SCALE_DEFAULTS, type ScaleDefaults } from "../../../contract/scale-policy.ts";
import type { SecretName } from "../../../contract/secrets.ts";
import type { Logger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { Backend, Builder, SecretStore } from "../backend.ts";
import { ColdStarts } from "../cold-starts.ts";
import { DEFAULT_PROBES } from "../probe-annotations.ts";
import { WatchHub } from "../watch-hub.ts";
import { DEFAULT_BACKOFF } from "./backoff.ts";
import { openDatabase } from "./database.ts";
import { findDeathSignal } from "./death-signal.ts";
import { DEFAULT_PATH } from "./environment.ts";
import { ensureFolder } from "./files.ts";
import type { RunnerSettings } from "./function-runner.ts";
import { openFunctionTable } from "./function-table.ts";
import { idleStarts } from "./idle-starts.ts";
import { ImageSweeper } from "./image-sweeper.ts";
import { type Images, openImages } from "./images.ts";
import { LocalFunctions } from "./local-functions.ts";
import { type LocalNamespaces, openNamespaces } from "./namespaces.ts";
import { OrphanProcesses } from "./orphan-processes.ts";
import { PrioritySemaphore } from "./priority-semaphore.ts";
import { ReplicaProber } from "./probes/prober.ts";
import type { ReplicaTimes } from "./replica.ts";
import { type Isolation, openIsolation } from "./sandbox/isolation.ts";
import type { SandboxSetting } from "./sandbox/level.ts";
import { openSecretFiles, type SecretFiles } from "./secrets.ts";
import { openVersionTable } from "./version-table.ts";

export interface LocalBackendOptions {
  /** Folder for all state; made if missing. Only one backend at a time may use it. */
  readonly dataDir: string;
  readonly defaultNamespace: string;
  readonly version: VersionInfo;
  /** The node that runs watchdogs. */
  readonly nodePath: string;
  /** The watchdog's bundle. */
  readonly watchdogPath: string;
  /** The platform's environment, of which replicas only get paths and locale. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** `off` unless given. */
  readonly sandbox?: SandboxSetting;
  /** Most that fits into the `/tmp` of a function in a sandbox; 256 MiB unless given. */
  readonly tmpBytes?: number;
  /** Most that a function may add to its folder on the disk; 1 GiB unless given. */
  readonly diskBytes?: number;
  /** Folders that no function may see, next to `dataDir`. */
  readonly hidden?: readonly string[];
  /** Per function; 100 unless given. */
  readonly maxReplicas?: number;
  /** How the gateway scales functions that say nothing; as without settings unless given. */
  readonly scaleDefaults?: ScaleDefaults;
  /** Log kept per replica, and once more for all replicas of a function that are gone; 10 MiB unless given. */
  readonly logLimitBytes?: number;
  /** How long an image is kept that no function uses, in milliseconds; a week unless given. */
  readonly imageKeepMs?: number;
  readonly times?: Partial<ReplicaTimes>;
  /** How replicas are probed whose function does not say; as on Kubernetes unless given. */
  readonly probes?: RunnerSettings["probes"];
  /** Whether also those are probed whose function names no path; true unless given. */
  readonly httpProbe?: boolean;
  readonly now?: () => number;
  /** Where functions that send events reach the gateway, as far as that is known by now. */
  readonly gatewayUrl?: () => string | undefined;
  /** Makes the builder, which registers what it builds in `images`. Without it the backend has none. */
  openBuilder?(images: Images, orphans: OrphanProcesses, isolation: Isolation): Builder | Promise<Builder>;
}

const DEFAULT_TIMES: ReplicaTimes = {
  backoff: DEFAULT_BACKOFF,
  startTimeoutMs: 60_000,
  slowStartMs: 3_000,
  lingerMs: 250,
};

/** Functions whose files are looked after at a time while nobody waits for them. */
const CHORES = 2;
/** Replicas that start at the same moment, per core: more of them would only slow each other down. */
const STARTS_PER_CORE = 2;

/**
 * Runs functions as processes of this machine, with all state in `dataDir`. Starts what ran before.
 * @throws when the folder is in use, belongs to a newer release or cannot be written
 */
export async function openLocalBackend(options: LocalBackendOptions): Promise<Backend> {
  await ensureFolder(options.dataDir);
  // One spelling of the folder, whatever links lead to it: orphans are recognised by it.
  const dataDir = await realpath(options.dataDir);
  const db = openDatabase(dataDir);
  let isolation: Isolation | undefined;
  try {
    const folder = join(dataDir, "functions");
    // A watchdog whose handler never yields, for one, cannot notice that its supervisor is gone.
    const orphans = new OrphanProcesses(dataDir, options.log);
    const killed = await orphans.killAll();
    if (killed > 0) options.log.warn({ killed }, "killed orphaned processes of an earlier run");

    isolation = await isolate(options, dataDir);
    const { wall } = isolation;

    const table = openFunctionTable(db);
    const versions = openVersionTable(db);
    const images = await openImages(db, dataDir, options.now);
    const sweeper = new ImageSweeper({
      images,
      usage: () => {
        const { digests, references } = functions.imageUsage();
        return { digests: digests.union(versions.digests()), references };
      },
      keepMs: options.imageKeepMs ?? 7 * 24 * 3600e3,
      log: options.log,
      ...(options.now && { now: options.now }),
    });
    const hub = new WatchHub();
    const prober = new ReplicaProber(options.httpProbe);
    const coldStarts = new ColdStarts();
    const namespaces = openNamespaces(db, options.defaultNamespace, {
      hasFunctions: (name) => functions.hasAny(name),
      removeSecrets: (name) => secretFiles.removeNamespace(name),
    });
    const secretFiles = await openSecretFiles(join(dataDir, "secrets"), namespaces.names(), {
      usersOf: (secret) => functions.usersOf(secret),
      refresh: (secret, value) => functions.refreshSecret(secret, value),
    });
    await ensureFolder(folder);
    const functions = await LocalFunctions.open({
      folder,
      table,
      hub,
      hasNamespace: namespaces.has,
      sizeOfArtefact: images.sizeOf,
      enforcement: { walled: wall !== undefined, cpu: isolation.holds("cpu") },
      around: {
        hasSecret: secretFiles.has,
        resolveImage: images.resolve,
        maxReplicas: options.maxReplicas ?? 100,
        scaleDefaults: options.scaleDefaults ?? SCALE_DEFAULTS,
        walled: wall !== undefined,
        gatewayUrl: options.gatewayUrl,
      },
      runner: {
        nodePath: options.nodePath,
        watchdogPath: options.watchdogPath,
        // Behind a wall everything dies with its parent.
        deathSignal: wall ? [] : findDeathSignal(options.environment.PATH ?? ""),
        orphans: orphans,
        isolation,
        environment: options.environment,
        gatewayUrl: options.gatewayUrl,
        times: { ...DEFAULT_TIMES, ...options.times },
        starts: new PrioritySemaphore({
          slots: STARTS_PER_CORE * availableParallelism(),
          idleSlots: availableParallelism(),
          admitsIdle: idleStarts(options.log),
        }),
        preparations: new PrioritySemaphore({ slots: CHORES, idleSlots: CHORES }),
        prober,
        probes: options.probes ?? DEFAULT_PROBES,
        logLimitBytes: options.logLimitBytes ?? 10 * 1024 * 1024,
        log: options.log,
        now: options.now ?? Date.now,
        coldStarts,
        artefactPath: images.artefactPath,
        onArtefactsChanged: (released) => sweeper.request(released),
        readSecret: async (namespace, name) =>
          secretFiles.has({ namespace, name }) ? await secretFiles.read({ namespace, name }) : undefined,
      },
    });
    const register: Images["register"] = (...what) => {
      images.register(...what);
      // The name may have meant another one before.
      sweeper.request();
    };
    const builder = await options.openBuilder?.({ ...images, register }, orphans, isolation);
    sweeper.request();
    versions.follow(() => sweeper.request());
    let closing: Promise<void> | undefined;

    return {
      info: buildInfo(options.version, builder !== undefined),
      functions,
      versions,
      namespaces,
      secrets: buildSecretStore(secretFiles, namespaces),
      ...(builder && { builder }),
      images: sweeper,
      async *logs(query, signal) {
        const runner = functions.find(query);
        if (!runner) throw new FaasError("notFound", `function ${qualifiedName(query)} not found`);
        yield* runner.logs.read(query, signal);
      },
      coldStarts,
      watch: (signal) => hub.watch(signal),
      async leave() {
        if (!hub.isFollowed) return;
        functions.leave();
        await sleep(DEFAULT_TIMES.lingerMs);
      },
      close(drainTimeoutMs) {
        closing ??= functions.close(drainTimeoutMs).finally(async () => {
          await sweeper.close();
          hub.end();
          prober.close();
          db.close();
          await isolation?.close();
        });
        return closing;
      },
    };
  } catch (error) {
    db.close();
    await isolation?.close();
    throw error;
  }
}

async function isolate(options: LocalBackendOptions, dataDir: string): Promise<Isolation> {
  const { sandbox: setting = "off", tmpBytes = 256 * 1024 ** 2, hidden = [], environment, log } = options;
  const real = await Promise.all(hidden.map((path) => realpath(path).catch(() => path)));
  return await openIsolation({
    setting,
    path: environment.PATH || DEFAULT_PATH,
    home: homedir(),
    nodePath: options.nodePath,
    watchdogPath: options.watchdogPath,
    dataDir,
    hidden: real,
    tmpBytes,
    diskBytes: options.diskBytes ?? 1024 ** 3,
    log,
  });
}

function buildInfo(version: VersionInfo, builds: boolean): ProviderInfo {
  const features = [FEATURES.endpoints, FEATURES.expedite, FEATURES.prune, ...(builds ? [FEATURES.build] : [])];
  return { provider: "faaslane", orchestration: "local", version, features };
}

function buildSecretStore(files: SecretFiles, namespaces: LocalNamespaces): SecretStore {
  const require = (namespace: string) => {
    if (!namespaces.has(namespace)) throw new FaasError("invalid", `namespace not found: ${namespace}`);
  };
  return {
    list: async (namespace): Promise<SecretName[]> => {
      require(namespace);
      return files.names(namespace).map((name) => ({ name, namespace }));
    },
    create: async (secret, value) => {
      require(secret.namespace);
      await files.create(secret, value);
    },
    update: (secret, value) => files.update(secret, value),
    revision: (secret) => files.revision(secret),
    remove: (secret, force = false) => files.remove(secret, force),
  };
}
