import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import type { HttpConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { listDescendants } from "../kill-tree.ts";
import { findPortOwner, isLocalListener, type Process, portsOf } from "../listeners.ts";
import type { Upstream } from "../parse.ts";

/** Where the function is to listen. */
export interface ChildPort {
  readonly upstream: Upstream;
  /** Whether it has to be the function itself that listens there. */
  readonly own: boolean;
  /** The port of `upstream_url`, where somebody else holds it. */
  readonly taken: { readonly port: number; readonly holder: Process | undefined } | undefined;
}

type WantedUpstream = Pick<HttpConfig, "upstream" | "anyUpstream">;

/**
 * Chooses the port for the function: that of `upstream_url`, and a free one where that is 0, or is in use already, by
 * another replica of the same function, say.
 */
export async function chooseChildPort({ upstream: wanted, anyUpstream }: WantedUpstream): Promise<ChildPort> {
  const { host, port } = wanted;
  // At addresses of other machines it cannot be told who listens.
  const own = !anyUpstream && isLocalListener(host);
  if (port === 0) return { upstream: { ...wanted, port: await pickFreePort(host) }, own, taken: undefined };
  if (!own || !(await accepts(host, port))) return { upstream: wanted, own, taken: undefined };
  const owner = findPortOwner(host, port, []);
  const holder = owner.kind === "others" ? owner.holder : undefined;
  return { upstream: { ...wanted, port: await pickFreePort(host) }, own, taken: { port, holder } };
}

/**
 * A port that was free a moment ago. Another program may take it first; the child then fails to start and is restarted.
 * The system gives ports of one range to programs that ask for any port, so others are tried first.
 */
async function pickFreePort(host: string): Promise<number> {
  const end = firstEphemeralPort();
  for (let tries = 0; tries < PORT_TRIES && end > FIRST_PORT; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (end - FIRST_PORT));
    if ((await listenBriefly(port, host)) !== undefined) return port;
  }
  const port = await listenBriefly(0, host);
  if (port === undefined) throw new Error(`no port is free at ${host}`);
  return port;
}

const FIRST_PORT = 16_384;
const PORT_TRIES = 10;
/** Of Linux, where it does not say. */
const USUAL_FIRST_EPHEMERAL_PORT = 32_768;

function firstEphemeralPort(): number {
  try {
    return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  } catch {
    return USUAL_FIRST_EPHEMERAL_PORT;
  }
}

/** @returns the port; undefined when it cannot be had */
async function listenBriefly(wanted: number, host: string): Promise<number | undefined> {
  const server = createServer().listen(wanted, host);
  try {
    await once(server, "listening");
  } catch {
    return undefined;
  }
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/**
 * The function's environment: the variables in which programs look for their port tell it. One that somebody has set to
 * another port is left alone, as it means something else.
 * @param wanted as in `upstream_url`
 */
export function buildChildEnv(env: Env, wanted: Upstream, { port }: Upstream): Env {
  const told: Record<string, string> = { port: String(port) }; // ours would lead it to listen where we do
  for (const name of ["PORT", "http_port"]) {
    if (env[name] === undefined || env[name] === "" || env[name] === String(wanted.port)) told[name] = String(port);
  }
  if (port !== wanted.port) {
    const host = wanted.host.includes(":") ? `[${wanted.host}]` : wanted.host;
    const url = `http://${host}:${port}${wanted.prefix}`;
    for (const name of ["upstream_url", "http_upstream_url"]) if (env[name]) told[name] = url;
  }
  return { ...env, ...told };
}

/** What the function does wrong when it does not get the port that it should listen at. */
export function describeTaken({ upstream, taken }: ChildPort): string | undefined {
  if (taken === undefined) return undefined;
  return (
    `port ${taken.port} of upstream_url is in use by ${describeHolder(taken.holder)}, so the function cannot have it: ` +
    `it must listen at port ${upstream.port}, as PORT and http_port tell it, or upstream_url must name a port of its own ` +
    "(upstream_external=true if that process is meant)"
  );
}

function describeHolder(holder: Process | undefined): string {
  return holder === undefined ? "a process that cannot be seen from here" : `process ${holder.pid} (${holder.program})`;
}

const FIRST_POLL_MS = 5;
const SLOWEST_POLL_MS = 100;
/** When a function that listens nowhere, or elsewhere, is looked at for the reason. */
const FIRST_LOOK_MS = 1000;
const SECOND_LOOK_MS = 5000;

export interface ListenerWatch {
  /** The function's process; undefined where it could not be started. */
  readonly pid: number | undefined;
  readonly signal: AbortSignal;
  readonly print: (message: string) => void;
}

/**
 * Waits until the function itself accepts connections, asking often at first: a start is what callers wait for.
 * @throws when somebody else does, or when the function takes a part of somebody else's connections
 */
export async function waitForListener(child: ChildPort, { pid, signal, print }: ListenerWatch): Promise<void> {
  const { host, port } = child.upstream;
  const startedAt = performance.now();
  const looks = [FIRST_LOOK_MS, SECOND_LOOK_MS];
  for (let waitMs = FIRST_POLL_MS; ; waitMs = Math.min(waitMs * 1.1, SLOWEST_POLL_MS)) {
    if (pid !== undefined && (await accepts(host, port)) && isOurs(child, pid)) return;
    signal.throwIfAborted();
    if (pid !== undefined && performance.now() - startedAt > (looks[0] ?? Number.POSITIVE_INFINITY)) {
      looks.shift();
      lookForReason(child, pid, print);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    signal.throwIfAborted();
  }
}

function isOurs({ upstream: { host, port }, own }: ChildPort, pid: number): boolean {
  if (!own) return true;
  const owner = findPortOwner(host, port, listDescendants(pid));
  if (owner.kind !== "others") return owner.kind !== "nobody";
  const holder = describeHolder(owner.holder);
  throw new Error(
    `port ${port} of upstream_url is in use by ${holder}, which cannot serve for the function: ` +
      "set upstream_url to a port of its own, or to port 0 if the function listens where PORT or http_port tells it; " +
      "upstream_external=true if that process is meant",
  );
}

function lookForReason(child: ChildPort, pid: number, print: (message: string) => void): void {
  const ports = portsOf(listDescendants(pid));
  const { taken, upstream } = child;
  if (taken !== undefined && ports.includes(taken.port)) throw new Error(describeTaken(child));
  const elsewhere = ports.length === 0 ? "" : `; it does at ${ports.join(", ")}`;
  print(`The function does not listen at port ${upstream.port} yet${elsewhere}`);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
