import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { OtherConnections } from "../../http/other-connections.ts";
import type { Credentials } from "../../kit/basic-auth.ts";
import { hostBeside } from "../../kit/bind-address.ts";
import { loginWith } from "../../kit/credential-files.ts";
import { descriptorLimit, LOW_DESCRIPTORS, shareConnections } from "../../kit/descriptors.ts";
import { hostsOf } from "../../kit/hosts.ts";
import type { Logger } from "../../kit/log.ts";
import type { LogOutput } from "../../kit/log-output.ts";
import { LoginAttempts } from "../../kit/login-attempts.ts";
import { type DrainingServer, type Handler, listen } from "../../kit/server.ts";
import { readVersion } from "../../kit/version.ts";
import { buildDashboardSite, buildGateway, buildMetricsApp, type GatewayDeps, stoppingError } from "../app.ts";
import { workerAgent } from "../async/function-caller.ts";
import { callTimeLimit } from "../async/worker/call-time.ts";
import { ProxyCaller } from "../async/worker/proxy-caller.ts";
import { PathPrefix } from "../core/path-prefix.ts";
import { CallCounts } from "../metrics/call-counts.ts";
import { ControlMeter } from "../metrics/control-meter.ts";
import { EventMeter } from "../metrics/event-meter.ts";
import { createMetrics } from "../metrics/gateway-metrics.ts";
import { meterQueue, QueueMeter } from "../metrics/queue-meter.ts";
import { ProviderClient } from "../provider-client.ts";
import { FunctionRoutes } from "../proxy/function-routes.ts";
import { ProviderConnection } from "../proxy/provider-connection.ts";
import { RoutedRequests } from "../proxy/routed-requests.ts";
import { StalledReplicaWatch } from "../proxy/stalled-replica-watch.ts";
import { RolloutsUnderWay } from "../rollouts/rollouts-under-way.ts";
import { SharedCounters } from "../workers/shared-counters.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { GatewayConfig } from "./config.ts";
import { drainTogether } from "./drain-together.ts";
import { eventMetrics, openGatewayEvents } from "./events/open-gateway-events.ts";
import { followProvider } from "./follow-provider.ts";
import { listenForCalls } from "./listen-for-calls.ts";
import { queueMetrics } from "./measure-queue.ts";
import { openAlerts } from "./open-alerts.ts";
import { openAsync } from "./open-async.ts";
import { listenForDashboard, openCallLog, openUi, type UiParts } from "./open-dashboard.ts";
import { openPolicyGate } from "./open-gate.ts";
import { openProxy } from "./open-proxy.ts";
import { openQueue } from "./open-queue.ts";
import { openRollouts, openRolloutWatch } from "./open-rollouts.ts";
import { openScaling } from "./open-scaling.ts";
import { CONNECT_TIMEOUT_MS, openTable } from "./open-table.ts";
import { openTelemetry } from "./open-telemetry.ts";
import { openWorkers } from "./open-workers.ts";
import { type RunningWorker, runWorker } from "./run-worker.ts";

export interface OpenGateway {
  /** `http://host:port` of the API, `https://host:port` or `unix:path`. */
  readonly url: string;
  /** The API itself, for whoever is in the same process. */
  readonly handler: Handler;
  /** `http://host:port` of `/metrics`. */
  readonly metricsUrl: string;
  /** Refuses new work, finishes what is under way, closes everything. May be called twice. */
  close(): Promise<void>;
}

/**
 * Starts a gateway.
 * @param credentials what clients must present, and what the provider gets; absent when authentication is off
 * @param output standard output, where `log` writes there too
 * @throws the listen error when a port is taken; nothing is left running then
 */
export async function openGateway(
  config: GatewayConfig,
  credentials: Credentials | undefined,
  log: Logger,
  output?: LogOutput,
): Promise<OpenGateway> {
  const version = readVersion();
  const descriptors = descriptorLimit();
  const shares = shareConnections(descriptors);
  if (descriptors < LOW_DESCRIPTORS) {
    log.warn(
      { descriptors, callers: shares.calls },
      "few file descriptors: raise the limit (ulimit -n) to serve more callers at a time",
    );
  }
  const connection = new ProviderConnection({
    url: config.providerUrl,
    connections: shares.toProvider,
    timeoutMs: config.upstreamTimeoutMs,
    ...(credentials && { login: loginWith(credentials) }),
  });
  const provider = new ProviderClient({
    connection,
    timeoutMs: config.upstreamTimeoutMs,
    defaultNamespace: config.defaultNamespace,
    log,
  });
  const workers = config.workers ?? 1;
  const counters = workers > 1 ? new SharedCounters(workers + 1) : undefined;
  let pool: WorkerPool | undefined;
  const others = new OtherConnections();
  const table = openTable(config, others, counters && { counters, shareTurns: (entry) => pool?.shareTurns(entry) });

  const opened: { close(): Promise<void> }[] = [connection, table];
  const closeAll = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  try {
    const { release } = version;
    const callLog = openCallLog(config.ui);
    const telemetry = await openTelemetry({ ...config, keeper: callLog, release, ...(output && { output }), log });
    // Closed after all that makes calls.
    opened.push(telemetry);
    const queueing = await openQueue(config.async, log);
    if (queueing) opened.push(queueing.queue);
    const counts = await CallCounts.open({
      table,
      log,
      ...(config.callCountsFile !== undefined && { path: config.callCountsFile }),
    });
    // Closed after all that makes calls.
    opened.push(counts);
    const meter = new QueueMeter();
    const gateway = `${hostname()}-${randomUUID().slice(0, 8)}`;
    const underWay = new RolloutsUnderWay(table, gateway);
    const scaling = await openScaling({
      config: config.scaling,
      table,
      provider,
      ...(queueing && { queue: queueing.queue }),
      ...(config.async.nats && { nats: config.async.nats }),
      secretMountPath: config.async.secretMountPath,
      trials: underWay,
      gateway,
      log,
    });
    opened.push(scaling);
    const { autoscaler, others: otherGateways } = scaling;
    const pathPrefix = new PathPrefix(config.pathPrefix);
    const functionRoutes = new FunctionRoutes(table, log);
    const routes = new RoutedRequests(functionRoutes, pathPrefix);
    const gate = openPolicyGate(config, credentials, log);
    const { observer } = telemetry;
    const { proxy, wake } = openProxy({
      gate,
      config,
      table,
      provider,
      autoscaler,
      pathPrefix,
      observer,
      release,
      failElsewhere: (ref, error) => pool?.fail(ref, error),
      log,
    });
    opened.push(
      new StalledReplicaWatch({
        functions: () => table.entries(),
        expedite: (ref) => provider.expediteFunction(ref),
        log,
      }),
    );
    // Closed after the API: calls that are held while it drains still get the replica that they wait for.
    opened.push(followProvider(provider, table, () => pool?.retryProvider()));
    const attempts = new LoginAttempts({ log });
    const async =
      queueing &&
      openAsync(meterQueue(queueing.queue, meter), {
        gate,
        config,
        table,
        proxy,
        provider,
        pathPrefix,
        observer,
        credentials,
        attempts,
        log,
      });
    // Closed after the worker.
    const caller = new ProxyCaller({
      proxy,
      timeLimit: callTimeLimit({
        table,
        timeoutMs: config.upstreamTimeoutMs,
        aroundMs: config.scaleUpTimeoutMs + CONNECT_TIMEOUT_MS,
      }),
      userAgent: workerAgent(release),
    });
    opened.push(caller);
    const eventMeter = new EventMeter();
    const { tracer } = telemetry;
    const events = openGatewayEvents({
      config,
      credentials,
      attempts,
      table,
      caller,
      provider,
      connection,
      tracer,
      observer,
      meter: eventMeter,
      gateway,
      release,
      log,
    });
    if (events) opened.push(events);
    const watch = openRolloutWatch(connection, table);
    let isStopping = false;
    const control = new ControlMeter();
    const known = { table, provider, autoscaler, queueing, events, counts };
    const settle = async () => await pool?.report();
    const keepCalls: UiParts["keepCalls"] = (on, slowFrom) => pool?.keepCalls(on, slowFrom);
    const ui = openUi({
      config,
      credentials,
      attempts,
      pathPrefix,
      ...known,
      callLog,
      keepCalls,
      others: otherGateways,
      gateway,
      settle,
      release,
      log,
    });
    opened.push(ui);
    const parts: GatewayDeps = {
      countControl: control.observe,
      proxy,
      table,
      routes,
      connection,
      provider,
      version,
      log,
      rollouts: watch,
      scaling: { autoscaler, alerts: openAlerts({ config, table, provider, autoscaler }) },
      defaultNamespace: config.defaultNamespace,
      hosts: hostsOf(config.bindAddress, config.allowedHosts),
      attempts,
      callsOf: (name) => counts.of(name),
      pathPrefix,
      settle,
      stopping: () => isStopping,
      ...(async && { async }),
      ...(events && { events }),
      ...(credentials && { credentials }),
    };
    const { port: uiPort } = config.ui;
    const handler = buildGateway({ ...parts, ...(uiPort === undefined && { dashboard: ui.dashboard }) });
    const rollouts = await openRollouts({
      config: config.async,
      prometheusUrl: config.scaling.prometheusUrl,
      underWay,
      table,
      provider,
      connection,
      autoscaler,
      caller,
      release,
      log,
    });
    opened.push(rollouts);
    let worker: RunningWorker | undefined;
    const registry = createMetrics({
      table,
      autoscaler,
      ...(queueing && { queue: queueMetrics(queueing, meter, config.ownWorker) }),
      ...(events && { events: eventMetrics(events, eventMeter) }),
      telemetry: telemetry.counts,
      control,
      rollouts: { underWay, driver: rollouts.driver },
    });
    const problem = () =>
      isStopping ? stoppingError().message : (queueing?.problem() ?? worker?.problem() ?? events?.problem());
    const metrics = await listen(buildMetricsApp(registry, problem, log, settle), {
      port: config.metricsPort,
      host: hostBeside(config.bindAddress),
      limits: { maxConnections: shares.metrics },
      log,
    });
    opened.push(drained(metrics, 1_000));
    const listening = { config, maxConnections: shares.callers, others, pathPrefix, routes, functionRoutes, log };
    const threads =
      counters &&
      (await openWorkers({ ...listening, workers, handler, table, counters, provider, wake, observer, release }));
    pool = threads?.pool;
    if (ui.dashboard && uiPort !== undefined) {
      const site = await listenForDashboard(
        buildDashboardSite({ ...parts, dashboard: ui.dashboard }),
        uiPort,
        config,
        log,
      );
      opened.push(drained(site, 1_000));
      log.info({ url: site.url }, "dashboard is listening");
    }
    const api = threads ?? (await listenForCalls(handler, listening));
    const { drainDelayMs: delayMs, drainTimeoutMs: timeoutMs } = config;
    opened.push({
      close: async () => {
        isStopping = true;
        const endStreams = () => {
          connection.endStreams();
          watch.close();
          ui.endStreams();
        };
        await drainTogether({ api, worker, events, calls: async?.calls, endStreams, table, delayMs, timeoutMs });
      },
    });
    if (queueing && config.ownWorker) {
      worker = await runWorker({
        config: config.async,
        queue: queueing.queue,
        whenOpen: queueing.whenOpen,
        meter,
        table,
        caller,
        tracer,
        release,
        drainTimeoutMs: config.drainTimeoutMs,
        defaultNamespace: config.defaultNamespace,
        log,
      });
    }
    log.info({ url: api.url, metrics: metrics.url, workers }, "gateway is listening");
    return { url: api.url, handler, metricsUrl: metrics.url, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function drained(server: DrainingServer, timeoutMs: number): { close(): Promise<void> } {
  return { close: () => server.drain(timeoutMs) };
}
