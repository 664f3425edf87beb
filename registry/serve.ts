import type { Credentials } from "../kit/basic-auth.ts";
import { hostsOf } from "../kit/hosts.ts";
import type { Logger } from "../kit/log.ts";
import { PersistentClock } from "../kit/persistent-clock.ts";
import { listen } from "../kit/server.ts";
import { steadyNow } from "../kit/steady-clock.ts";
import { buildRegistry } from "./app.ts";
import type { RegistrySettings } from "./config.ts";
import { openRegistryStore, type RegistryStore } from "./store.ts";

export interface OpenRegistry {
  /** `http://host:port`. */
  readonly url: string;
  readonly port: number;
  readonly store: RegistryStore;
  /** Refuses new work and finishes what is under way. May be called twice. */
  close(withinMs: number): Promise<void>;
}

/**
 * Starts a registry. No other process may use its folder at the same time.
 * @param credentials what clients must present; absent when authentication is off
 * @throws the listen error when the port is taken, or why the folder cannot be used
 */
export async function openRegistry(
  settings: RegistrySettings,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenRegistry> {
  const { port, bindAddress: host, socketMode, anonymousPull, allowedHosts } = settings;
  const store = await openRegistryStore(settings.folder, settings);
  const hosts = hostsOf(host, allowedHosts);
  const handler = buildRegistry({ store, log, credentials, anonymousPull, hosts });
  // Layers of gigabytes take their time; one that stalls is given up by the server.
  const server = await listen(handler, { port, host, socketMode, server: { requestTimeout: 0 }, log });
  log.info({ url: server.url }, "registry is listening");
  const closing = new AbortController();
  const collecting = collectNowAndThen(store, settings, log, closing.signal);
  let closed: Promise<void> | undefined;
  return {
    url: server.url,
    port: server.port,
    store,
    close(withinMs) {
      closed ??= (async () => {
        closing.abort();
        await server.drain(withinMs);
        await collecting.end();
        await store.close();
      })();
      return closed;
    },
  };
}

function collectNowAndThen(
  store: RegistryStore,
  { collectEveryMs, graceMs, keepUntaggedMs }: RegistrySettings,
  log: Logger,
  signal: AbortSignal,
): { end(): Promise<void> } {
  if (collectEveryMs === Number.POSITIVE_INFINITY) return { end: async () => {} };
  let running: Promise<void> | undefined;
  // One that is set forward must not make a push of a minute ago look old.
  const clock = new PersistentClock(
    Date.now,
    steadyNow,
    Math.max(graceMs, Number.isFinite(keepUntaggedMs) ? keepUntaggedMs : 0),
  );
  const collect = async () => {
    try {
      clock.takeJump();
      const removed = await store.collect({ graceMs, keepUntaggedMs, now: clock.sure, signal });
      if (removed.blobs + removed.manifests > 0) log.info({ ...removed }, "registry has removed what no image needs");
    } catch (err) {
      if (!signal.aborted) log.warn({ err }, "registry could not look for what no image needs");
    }
  };
  const timer = setInterval(() => {
    running ??= collect().finally(() => {
      running = undefined;
    });
  }, collectEveryMs).unref();
  return {
    async end() {
      clearInterval(timer);
      await running;
    },
  };
}
