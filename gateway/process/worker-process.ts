import type { Credentials } from "../../kit/basic-auth.ts";
import { CredentialFiles, loginWith } from "../../kit/credential-files.ts";
import { descriptorLimit, shareConnections } from "../../kit/descriptors.ts";
import { createLogger, type Logger } from "../../kit/log.ts";
import { runProcess } from "../../kit/process.ts";
import { listen } from "../../kit/server.ts";
import { readVersion } from "../../kit/version.ts";
import { buildMetricsApp } from "../app.ts";
import { callTimeLimit } from "../async/worker/call-time.ts";
import { GatewayCaller } from "../async/worker/gateway-caller.ts";
import { ProviderClient } from "../provider-client.ts";
import { FunctionTable } from "../proxy/function-table.ts";
import { ProviderConnection } from "../proxy/provider-connection.ts";
import { followProvider } from "./follow-provider.ts";
import { type OpenTelemetry, openTelemetry } from "./open-telemetry.ts";
import { tellOfWorker, type WorkerPresence } from "./tell-of-worker.ts";
import type { WorkerProcessConfig } from "./worker-process-config.ts";

/** What a worker's work is made of. */
export interface WorkParts {
  /** Of what is deployed; no call goes straight from here to a replica. */
  readonly table: FunctionTable;
  readonly provider: ProviderClient;
  readonly connection: ProviderConnection;
  /** Makes calls through the gateway. */
  readonly caller: GatewayCaller;
  readonly telemetry: OpenTelemetry;
  readonly release: string;
  readonly log: Logger;
}

export interface OpenWork {
  readonly registry: Parameters<typeof buildMetricsApp>[0];
  /** Why it is not healthy. */
  problem(): string | undefined;
  /** Takes no more, finishes what is under way, hands back the rest. */
  close(): Promise<void>;
}

export interface WorkOptions {
  readonly kind: WorkerPresence["kind"];
  /** Of the NATS that it shares with gateways; absent where it has none. */
  readonly servers: readonly string[] | undefined;
  /** To the gateway. */
  readonly connections: number;
  readonly userAgent: (release: string) => string;
  readonly open: (parts: WorkParts) => Promise<OpenWork>;
}

export interface OpenWorkerProcess {
  /** `http://host:port` of `/metrics` and `/healthz`. */
  readonly metricsUrl: string;
  /** Closes its work first, and stops to answer at the very end. May be called twice. */
  close(): Promise<void>;
}

/** As logs say it. */
const NAMES = { queue: "queue worker", events: "event worker" } as const;
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the gateway takes to find out that there is no connection to a replica. */
const SLACK_MS = 10_000;

/**
 * Opens a process that makes calls through the gateway, and does its work. Any number of them share the work.
 * @param credentials what the provider gets, and the gateway knows; absent when authentication is off
 * @throws when the work or the metrics port cannot be opened; nothing is left running then
 */
export async function openWorkerProcess(
  config: WorkerProcessConfig,
  credentials: Credentials | undefined,
  { kind, servers, connections, userAgent, open }: WorkOptions,
  log: Logger,
): Promise<OpenWorkerProcess> {
  const shares = shareConnections(descriptorLimit());
  const opened: { close(): Promise<void> }[] = [];
  const closeAll = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  const { upstreamTimeoutMs: timeoutMs, defaultNamespace } = config;
  const connection = new ProviderConnection({
    url: config.providerUrl,
    connections: shares.toProvider,
    timeoutMs,
    ...(credentials && { login: loginWith(credentials) }),
  });
  const table = new FunctionTable({
    defaultNamespace,
    maxHeld: 1,
    timeoutMs,
    ...(config.upstreamTimeoutGiven && { leastTimeoutMs: timeoutMs }),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  opened.push(connection, table);
  try {
    const { release } = readVersion();
    const accessLog = { kind: "off" } as const; // the gateway's: all calls go through it
    const telemetry = await openTelemetry({ accessLog, tracing: config.tracing, release, log });
    opened.push(telemetry);
    const provider = new ProviderClient({ connection, timeoutMs, defaultNamespace, log });
    opened.push(followProvider(provider, table));
    const caller = new GatewayCaller({
      gatewayUrl: config.gatewayUrl,
      connections,
      timeLimit: callTimeLimit({ table, timeoutMs, aroundMs: config.scaleUpTimeoutMs + SLACK_MS }),
      userAgent: userAgent(release),
      credentials,
    });
    opened.push(caller);
    const work = await open({ table, provider, connection, caller, telemetry, release, log });
    opened.push(work);
    const problem = () => work.problem();
    const { secretMountPath } = config;
    if (servers) opened.push(tellOfWorker({ servers, secretMountPath, kind, release, problem, log }));
    const metrics = await listen(buildMetricsApp(work.registry, problem, log), {
      port: config.metricsPort,
      host: config.bindAddress,
      limits: { maxConnections: shares.metrics },
      log,
    });
    // Answers until the very end, so that probes see that it drains.
    opened.splice(0, 0, { close: () => metrics.drain(1_000) });
    log.info({ metrics: metrics.url, gateway: config.gatewayUrl.href }, `${NAMES[kind]} started`);
    return { metricsUrl: metrics.url, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Runs such a process until it is told to stop, with the credentials of the platform's files. */
export async function runWorkerProcess<C extends WorkerProcessConfig>(
  load: (env: NodeJS.ProcessEnv) => C,
  open: (config: C, credentials: Credentials | undefined, log: Logger) => Promise<OpenWorkerProcess>,
): Promise<void> {
  await runProcess(async () => {
    const config = load(process.env);
    const log = createLogger(config.logLevel);
    const credentials = config.basicAuth
      ? await CredentialFiles.open(config.secretMountPath, { overlapMs: 0, log })
      : undefined;
    const { close } = await open(config, credentials, log);
    return { drainTimeoutMs: config.drainTimeoutMs, close };
  });
}
