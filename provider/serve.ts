import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Credentials } from "../kit/basic-auth.ts";
import { hostBeside } from "../kit/bind-address.ts";
import { descriptorLimit, shareConnections } from "../kit/descriptors.ts";
import { hostsOf } from "../kit/hosts.ts";
import type { Logger } from "../kit/log.ts";
import { type DrainingServer, listen } from "../kit/server.ts";
import { listenForAnnouncements } from "./announce-app.ts";
import { buildProvider, createProviderMetrics } from "./app.ts";
import type { Backend } from "./backends/backend.ts";
import { openBackend } from "./backends/open-backend.ts";
import type { ProviderConfig } from "./config.ts";
import { isFunctionUrl } from "./routes/function-url.ts";
import { withVersions } from "./versions/versioned-backend.ts";

export interface OpenProvider {
  /** `http://host:port`. */
  readonly url: string;
  readonly port: number;
  readonly backend: Backend;
  /**
   * Refuses new work, finishes what is under way, stops all replicas. May be called twice.
   * @param withinMs `drain_timeout` unless given
   */
  close(withinMs?: number): Promise<void>;
}

/** Even where requests have taken all of the time, replicas get a moment to end by themselves. */
const LEAST_DRAIN_MS = 500;

/** Longer than the idle time of a gateway's connections, so that they never meet one closing. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts a provider. No other process may use `config.dataDir` at the same time.
 * @param credentials what clients must present; absent when authentication is off
 * @throws the listen error when the port is taken, or what keeps the backend from opening; nothing is left running then
 */
export async function openProvider(
  config: ProviderConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenProvider> {
  const backend = withVersions(await openBackend(config, credentials, log), log);
  const closing = new AbortController();
  const servers: DrainingServer[] = [];
  try {
    const uploadDir = join(config.dataDir, "uploads");
    // A backend that builds nothing needs no folder to write to.
    if (backend.builder) {
      // An earlier process may have died over an upload.
      await rm(uploadDir, { recursive: true, force: true });
      await mkdir(uploadDir, { recursive: true, mode: 0o700 });
    }
    const { maxUploadBytes, concurrency, maxWaiting } = config.build;
    const metrics = createProviderMetrics();
    const handler = buildProvider({
      backend,
      log,
      credentials,
      hosts: hostsOf(config.bindAddress, config.allowedHosts),
      defaultNamespace: config.defaultNamespace,
      maxBodyBytes: config.maxBodyBytes,
      uploadDir,
      maxUploadBytes,
      maxBuildRequests: concurrency + maxWaiting,
      maxLogStreamMs: config.writeTimeoutMs,
      functionTimeoutMs: config.readTimeoutMs,
      closing: closing.signal,
      metrics,
    });
    const server = await listen(handler, {
      port: config.port,
      host: config.bindAddress,
      socketMode: config.socketMode,
      server: { keepAliveTimeout: KEEP_ALIVE_MS },
      limits: { maxConnections: shareConnections(descriptorLimit()).provider },
      upgrades: { accepts: isFunctionUrl, idleMs: config.upgradeIdleMs, max: config.maxUpgrades },
      log,
    });
    servers.push(server);
    if (backend.announce) {
      const announce = backend.announce.bind(backend);
      const where = { port: config.kubernetes.announcePort, host: hostBeside(config.bindAddress) };
      servers.push(await listenForAnnouncements({ announce, log, observe: metrics.observe }, where));
    }
    log.info({ url: server.url, announceUrl: servers[1]?.url }, "provider is listening");
    let closed: Promise<void> | undefined;
    return {
      url: server.url,
      port: server.port,
      backend,
      close(withinMs = config.drainTimeoutMs) {
        closed ??= closeAll(servers, backend, closing, withinMs);
        return closed;
      },
    };
  } catch (error) {
    closing.abort();
    for (const server of servers) await server.drain(0);
    await backend.close(0);
    throw error;
  }
}

async function closeAll(
  servers: readonly DrainingServer[],
  backend: Backend,
  closing: AbortController,
  withinMs: number,
): Promise<void> {
  const startedAt = performance.now();
  // While gateways can still be told.
  if (withinMs > LEAST_DRAIN_MS) await backend.leave?.();
  const draining = Promise.all(servers.map((server) => server.drain(withinMs)));
  // Streams that would go on for ever end now; requests that only take their time go on.
  closing.abort();
  await draining;
  await backend.close(Math.max(LEAST_DRAIN_MS, Math.round(withinMs - (performance.now() - startedAt))));
}
