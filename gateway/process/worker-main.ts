import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { FaasError } from "../../contract/errors.ts";
import { OtherConnections } from "../../http/other-connections.ts";
import { createLogger } from "../../kit/log.ts";
import { StartError } from "../../kit/process.ts";
import type { DrainingServer, Handler } from "../../kit/server.ts";
import { isFormOfOtherSite, isWorkerScript } from "../core/browser-requests.ts";
import { PathPrefix } from "../core/path-prefix.ts";
import { FunctionProxy, isFunctionCall } from "../proxy/function-proxy.ts";
import { FunctionRoutes } from "../proxy/function-routes.ts";
import { isRouted, RoutedRequests } from "../proxy/routed-requests.ts";
import { StalledReplicaWatch } from "../proxy/stalled-replica-watch.ts";
import { CallChoice, LeftOut } from "../telemetry/call-choice.ts";
import type { CallHead, ObservedCall } from "../telemetry/call-record.ts";
import { CallThread } from "../workers/call-thread.ts";
import { claimPort } from "../workers/claim-port.ts";
import type { FromThread, StartFailure, ToThread } from "../workers/protocol.ts";
import { Relay } from "../workers/relay.ts";
import { ReceivedCounters } from "../workers/shared-counters.ts";
import { SharedOccupancy } from "../workers/shared-occupancy.ts";
import { ThreadObserver } from "../workers/thread-observer.ts";
import { listenForCalls } from "./listen-for-calls.ts";
import { openTable } from "./open-table.ts";
import type { WorkerSettings } from "./open-workers.ts";

/** The thread of a gateway worker: takes callers' connections, and makes the calls of functions whose replicas it chooses itself. */
async function run(
  port: MessagePort,
  { thread, threads, socketPath, upgraded, maxConnections, release, ...settings }: WorkerSettings,
) {
  const config = { ...settings.config, providerUrl: new URL(settings.providerUrl) };
  const post = (message: FromThread) => port.postMessage(message);
  const log = createLogger(config.logLevel, { write: (line) => post({ kind: "log", line }) });
  const counters = new ReceivedCounters(thread);
  const others = new OtherConnections();
  const table = openTable(config, others, { counters, shareTurns: (entry) => calls.shareTurns(entry, threads) });
  const calls = new CallThread({ table, counters, post });
  const relay = new Relay(socketPath, others);
  const choice = new CallChoice();
  const leftOut = new LeftOut();
  const observer = await openObserver(settings, choice, leftOut, (records) =>
    post({ kind: "calls", records, leftOut: leftOut.take() }),
  );
  const pathPrefix = new PathPrefix(config.pathPrefix);
  const functionRoutes = new FunctionRoutes(table);
  const routes = new RoutedRequests(functionRoutes, pathPrefix);
  const proxy = new FunctionProxy({
    table,
    // Functions that are not known are the main thread's to ask for.
    provider: { exist: async () => new Set() },
    wake: (entry) => calls.wake(entry),
    doubt: ({ qualifiedName: name }, replaced) => post({ kind: "doubt", name, replaced }),
    holdTimeoutMs: config.scaleUpTimeoutMs,
    elsewhere: relay.pass,
    pathPrefix,
    isRouted,
    observer,
    release,
  });
  const watch = new StalledReplicaWatch({
    functions: () => table.entries(),
    expedite: async ({ name, namespace }) => post({ kind: "expedite", name, namespace }),
    log,
  });
  let api: DrainingServer | undefined;

  const listen = async (at: number, claim: boolean) => {
    const claimed = claim ? await claimPort(at, config.bindAddress) : at;
    api = await listenForCalls(callHandler(proxy, relay, pathPrefix, routes), {
      config: { ...config, port: claimed },
      maxConnections,
      others,
      reusePort: true,
      upgraded: new SharedOccupancy(upgraded, thread),
      pathPrefix,
      routes,
      functionRoutes,
      log,
    });
    post({ kind: "listening", port: api.port, url: api.url });
  };

  const stop = async (timeoutMs: number) => {
    const stopping = new FaasError("unavailable", "the gateway is stopping", { code: "stopping" });
    const giveUp = setTimeout(() => {
      for (const entry of table.entries()) entry.held.close(stopping);
    }, timeoutMs * 0.9);
    await api?.drain(timeoutMs);
    clearTimeout(giveUp);
    observer?.flush();
    calls.report();
    calls.close();
    await watch.close();
    relay.close();
    await table.close();
    post({ kind: "stopped" });
  };

  port.on("message", (message: ToThread) => {
    if (message.kind === "keepCalls") return choice.learn(message.on, message.slowFrom);
    if (message.kind === "stop") void stop(message.timeoutMs);
    else if (message.kind === "listen") {
      listen(message.port, message.claim).catch((error: unknown) => post({ kind: "failed", error: tell(error) }));
    } else calls.receive(message);
  });
}

/** Undefined where nobody wants to know of calls. */
async function openObserver(
  { observed, logged, sampler, timeOrigin }: Pick<WorkerSettings, "observed" | "logged" | "sampler" | "timeOrigin">,
  choice: CallChoice,
  leftOut: LeftOut,
  post: (records: ObservedCall[]) => void,
): Promise<ThreadObserver | undefined> {
  if (!observed) return undefined;
  const { CallWatch } = await import("../telemetry/call-watch.ts");
  const { Tracer } = await import("../telemetry/tracer.ts");
  const tracer = sampler && new Tracer({ sampler, add: () => {} });
  const isWanted = (record: ObservedCall) => {
    const judged = choice.judge(record);
    if (judged !== undefined && judged !== "tooMany") return "whole";
    if (logged || tracer?.wants(record) === true) return "bare";
    if (judged === "tooMany" && record.functionName !== undefined) leftOut.add(record.functionName);
    return false;
  };
  const begun = new CallWatch(undefined, tracer);
  const watch = {
    get watching() {
      return logged || tracer !== undefined || choice.on;
    },
    begin: (head: CallHead) => begun.begin(head),
    upstreamHeaders: (record: ObservedCall, headers: string[]) => begun.upstreamHeaders(record, headers),
  };
  return new ThreadObserver({ watch, timeOrigin, isWanted, post });
}

function callHandler(proxy: FunctionProxy, relay: Relay, pathPrefix: PathPrefix, routes: RoutedRequests): Handler {
  return (req, res) => {
    // The main thread knows where the dashboard is.
    if (isWorkerScript(req) || isFormOfOtherSite(req)) return relay.pass(req, res);
    const given = req.url as string;
    const url = pathPrefix.strip(given);
    if (routes.any) {
      req.url = url;
      const taken = routes.take(req, res);
      if (taken !== "none") return taken === "call" ? proxy.handle(req, res) : undefined;
      req.url = given;
    }
    if (!isFunctionCall(url)) return relay.pass(req, res);
    req.url = url;
    return proxy.handle(req, res);
  };
}

function tell(error: unknown): StartFailure {
  const { message, code, port, syscall } = error as NodeJS.ErrnoException & { port?: number };
  return {
    message,
    explained: error instanceof StartError,
    ...(code !== undefined && { code }),
    ...(port !== undefined && { port }),
    ...(syscall !== undefined && { syscall }),
  };
}

await run(parentPort as MessagePort, workerData as WorkerSettings);
