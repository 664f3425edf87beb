import { FaasError } from "../provider/contract/errors.ts";
import { qualifiedName } from "../provider/contract/functions.ts";
import { basicAuthHeader, type Credentials } from "../provider/kit/basic-auth.ts";
import type { Logger } from "../provider/kit/log.ts";
import { type DrainingServer, listen } from "../provider/kit/server.ts";
import { readVersion } from "../provider/kit/version.ts";
import { buildGateway, buildMetricsApp, refuseConnect } from "./app.ts";
import { startQueueWorker } from "./async/worker.ts";
import type { AsyncConfig, GatewayConfig } from "./config.ts";
import { parseTarget } from "./core/function-path.ts";
import { createMetrics } from "./metrics/gateway-metrics.ts";
import { ProviderClient } from "./provider-client.ts";
import { FunctionProxy } from "./proxy/function-proxy.ts";
import { FunctionTable } from "./proxy/function-table.ts";
import { ProviderConnection } from "./proxy/provider-connection.ts";
import type { Queue } from "./queue/queue.ts";
import { AsyncIntake } from "./routes/async-intake.ts";
import { Waker } from "./scaling/waker.ts";

export interface OpenGateway {
  /** `http://host:port` of the API. */
  readonly url: string;
  /** `http://host:port` of `/metrics`. */
  readonly metricsUrl: string;
  /** Refuses new work, finishes what is under way, closes everything. May be called twice. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the idle time of the proxies that people put in front, so that they never race our closing. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Starts a gateway.
 * @param credentials what clients must present, and what the provider gets; absent when authentication is off
 * @throws the listen error when a port is taken; nothing is left running then
 */
export async function openGateway(
  config: GatewayConfig,
  credentials: Credentials | undefined,
  log: Logger,
): Promise<OpenGateway> {
  const version = readVersion();
  const connection = new ProviderConnection({
    url: config.providerUrl,
    timeoutMs: config.upstreamTimeoutMs,
    ...(credentials ? { authorization: basicAuthHeader(credentials) } : {}),
  });
  const provider = new ProviderClient({ connection, timeoutMs: config.upstreamTimeoutMs, log });
  const table = new FunctionTable({
    defaultNamespace: config.defaultNamespace,
    maxHeld: config.maxHeldCalls,
    timeoutMs: config.upstreamTimeoutMs,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  const waker = new Waker((ref, replicas) => provider.scale(ref, replicas), log);
  const proxy = new FunctionProxy({
    table,
    exists: (target) => provider.exists(parseTarget(target, config.defaultNamespace)),
    wake: (entry) => waker.wake(entry),
    holdTimeoutMs: config.scaleUpTimeoutMs,
    release: version.release,
  });

  const opened: { close(): Promise<void> }[] = [connection, table];
  const closeAll = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  try {
    const queue = await openQueue(config.async, log);
    if (queue) opened.push(queue);
    // Closed after the API: calls that are held while it drains still get the replica that they wait for.
    opened.push(followProvider(provider, table));
    const intake = queue && new AsyncIntake({ queue, table, proxy, log });
    const handler = buildGateway({
      proxy,
      table,
      connection,
      provider,
      version,
      log,
      ...(intake ? { intake } : {}),
      ...(credentials ? { credentials } : {}),
    });
    const registry = createMetrics({ table, ...(queue ? { queueStats: () => queue.stats() } : {}) });
    const metrics = await listen(buildMetricsApp(registry, log), {
      port: config.metricsPort,
      host: config.bindAddress,
    });
    opened.push(drained(metrics, 1_000));
    const api = await listen(handler, {
      port: config.port,
      host: config.bindAddress,
      server: {
        requestTimeout: config.readTimeoutMs,
        headersTimeout: Math.min(config.readTimeoutMs, 60_000),
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
    });
    api.server.on("connect", refuseConnect);
    const worker =
      queue && config.async.kind !== "none"
        ? runWorker(queue, config.async, {
            gatewayUrl: new URL(api.url),
            release: version.release,
            table,
            config,
            log,
          })
        : undefined;
    opened.push(drainTogether(api, worker, table, config.drainTimeoutMs));
    log.info({ url: api.url, metrics: metrics.url }, "gateway is listening");
    return { url: api.url, metricsUrl: metrics.url, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/**
 * The API and the worker, whose calls come through it, stop side by side. Calls that still wait for a replica when the
 * time is almost over are told so, while there is time to answer.
 */
function drainTogether(
  api: DrainingServer,
  worker: { close(): Promise<void> } | undefined,
  table: FunctionTable,
  timeoutMs: number,
): { close(): Promise<void> } {
  return {
    close: async () => {
      const stopping = new FaasError("unavailable", "the gateway is stopping");
      const giveUp = setTimeout(() => {
        for (const entry of table.entries()) entry.held.close(stopping);
      }, timeoutMs * 0.9);
      await Promise.all([api.drain(timeoutMs), worker?.close()]);
      clearTimeout(giveUp);
    },
  };
}

function drained(server: DrainingServer, timeoutMs: number): { close(): Promise<void> } {
  return { close: () => server.drain(timeoutMs) };
}

function followProvider(provider: ProviderClient, table: FunctionTable): { close(): Promise<void> } {
  const stop = new AbortController();
  const following = provider.follow(
    () => table.beginSnapshot(),
    (event) => table.apply(event),
    stop.signal,
  );
  return {
    close: async () => {
      stop.abort();
      await following;
    },
  };
}

/** The one switch on the kind of queue. */
async function openQueue(config: AsyncConfig, log: Logger): Promise<Queue | undefined> {
  if (config.kind === "none") return undefined;
  const { openEmbeddedQueue } = await import("./queue/embedded.ts");
  return await openEmbeddedQueue({ path: config.path, maxBodyBytes: config.maxBodyBytes, log });
}

interface WorkerParts {
  readonly gatewayUrl: URL;
  readonly release: string;
  readonly table: FunctionTable;
  readonly config: GatewayConfig;
  readonly log: Logger;
}

/**
 * Drains the queue from the moment that all functions are known: before, a call of a function that is only not yet
 * known would look like one of a function that is gone.
 */
function runWorker(
  queue: Queue,
  { concurrency, perFunction, callbackTimeoutMs, retry }: Extract<AsyncConfig, { kind: "embedded" }>,
  { gatewayUrl, release, table, config, log }: WorkerParts,
): { close(): Promise<void> } {
  const closing = Promise.withResolvers<"closed">();
  const running = Promise.race([table.whenSynced, closing.promise]).then(async (first) => {
    if (first === "closed") return undefined;
    return await startQueueWorker({
      queue,
      gatewayUrl,
      release,
      policyFor: (name, namespace) => table.find(qualifiedName({ name, namespace }))?.picture.annotations,
      defaults: retry,
      concurrency,
      perFunction,
      callTimeoutMs: config.scaleUpTimeoutMs + config.upstreamTimeoutMs + CONNECT_TIMEOUT_MS,
      callbackTimeoutMs,
      defaultNamespace: config.defaultNamespace,
      log,
    });
  });
  running.catch((err: unknown) => log.error({ err }, "the queue worker could not start"));
  return {
    close: async () => {
      closing.resolve("closed");
      await (await running)?.close(config.drainTimeoutMs);
    },
  };
}
