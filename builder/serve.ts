import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Credentials } from "../kit/basic-auth.ts";
import type { Logger } from "../kit/log.ts";
import { listen } from "../kit/server.ts";
import { openImageBuilder } from "../provider/backends/images/image-builder.ts";
import { buildBuilder } from "./app.ts";
import type { BuilderConfig } from "./config.ts";

export interface OpenBuilder {
  /** `http://host:port`. */
  readonly url: string;
  /** Refuses new work, gives builds a moment, stops them. May be called twice. */
  close(withinMs: number): Promise<void>;
}

const HEARTBEAT_MS = 15_000;

/**
 * Starts a builder. No other process may use `config.dataDir` at the same time.
 * @param credentials the platform's own, for a registry that is ours
 * @param watchdog its bundle
 */
export async function openBuilderServer(
  config: BuilderConfig,
  credentials: Credentials | undefined,
  watchdog: string,
  log: Logger,
): Promise<OpenBuilder> {
  const { dataDir, images: settings, limits, stepEnvironment: env, maxUploadBytes } = config;
  const uploadDir = join(dataDir, "uploads");
  await rm(uploadDir, { recursive: true, force: true });
  await mkdir(uploadDir, { recursive: true, mode: 0o700 });
  const builder = openImageBuilder({ dataDir, settings, credentials, watchdog, limits, env, log });
  const closing = new AbortController();
  const handler = buildBuilder({
    builder,
    uploadDir,
    maxUploadBytes,
    maxRequests: limits.concurrency + limits.maxWaiting,
    secretFile: config.disableHmac ? undefined : join(config.secretMountPath, "payload-secret"),
    heartbeatMs: HEARTBEAT_MS,
    log,
    closing: closing.signal,
  });
  const { port, bindAddress: host, socketMode } = config;
  const server = await listen(handler, { port, host, socketMode, log });
  log.info({ url: server.url }, "builder is listening");
  let closed: Promise<void> | undefined;
  return {
    url: server.url,
    close(withinMs) {
      closed ??= (async () => {
        const draining = server.drain(withinMs);
        const late = setTimeout(() => closing.abort(), withinMs / 2);
        await draining;
        clearTimeout(late);
        await builder.close();
      })();
      return closed;
    },
  };
}
