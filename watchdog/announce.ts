import { request } from "node:http";
import { isIP } from "node:net";
import type { AnnounceConfig } from "./announce-config.ts";

export interface AnnouncerDeps {
  /** All addresses of a host. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly print: (message: string) => void;
  /** Milliseconds since the process was started. */
  readonly uptimeMs: () => number;
}

/** Tells the providers that this replica listens, so that they need not wait for Kubernetes to tell them. */
export interface Announcer {
  /** The function takes calls from now on. Resolves when everybody was told or given up on; never rejects. */
  announce(): Promise<void>;
  /** Ends the announcements. */
  stop(): void;
}

/** Providers that get announcements; more than anybody runs. */
const MAX_PROVIDERS = 32;
const TIMEOUT_MS = 2_000;
/** Pauses between tries: a provider may see a new function a moment later than its first pod starts. */
const PAUSES_MS = [100, 400, 1_600] as const;

/** All addresses that the system knows for a host. */
export async function resolveHost(host: string): Promise<string[]> {
  const { lookup } = process.getBuiltinModule("node:dns/promises");
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Begins to look for the providers at once: the function takes its time to start anyway. */
export function openAnnouncer(config: AnnounceConfig, deps: AnnouncerDeps): Announcer {
  const stopped = new AbortController();
  let first: Promise<readonly string[]> | undefined = findProviders(config, deps);
  // The announcement sees the error; without one it does not matter.
  first.catch(() => {});

  const find = () => {
    const found = first ?? findProviders(config, deps);
    first = undefined;
    return found;
  };
  const retryUntilDeadline = async (attempt: () => Promise<void>): Promise<Error | undefined> => {
    for (let tries = 0; ; tries += 1) {
      try {
        await attempt();
        return undefined;
      } catch (error) {
        const pauseMs = PAUSES_MS[tries];
        if (pauseMs === undefined || stopped.signal.aborted || error instanceof Refusal) return error as Error;
        await pause(pauseMs, stopped.signal);
      }
    }
  };

  return {
    async announce() {
      const listeningMs = deps.uptimeMs();
      let providers: readonly string[] = [];
      const unfound = await retryUntilDeadline(async () => {
        providers = await find();
      });
      const tell = (address: string) =>
        retryUntilDeadline(() => post(address, config, { listeningMs, uptimeMs: deps.uptimeMs() }, stopped.signal));
      const failures = unfound ? [unfound] : await Promise.all(providers.map(tell));
      const failed = failures.filter((failure) => failure !== undefined);
      if (failed.length < failures.length || stopped.signal.aborted) return;
      // Everything works without, only later.
      deps.print(`No provider took the announcement that this replica listens: ${failed[0]?.message}`);
    },
    stop: () => stopped.abort(),
  };
}

async function findProviders({ url, localAddress }: AnnounceConfig, { resolve }: AnnouncerDeps): Promise<string[]> {
  const addresses = isIP(url.host) === 0 ? await resolve(url.host) : [url.host];
  const family = isIP(localAddress ?? "");
  const usable = [...new Set(addresses)].filter((address) => family === 0 || isIP(address) === family);
  if (usable.length === 0) throw new Error(`${url.host} has no address to be reached from here`);
  return usable.slice(0, MAX_PROVIDERS);
}

/** An answer that will not change. */
class Refusal extends Error {}

function post(
  address: string,
  { url, token, name, namespace, instance, localAddress }: AnnounceConfig,
  times: { readonly listeningMs: number; readonly uptimeMs: number },
  stopped: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const body = JSON.stringify({ name, namespace, instance, ...times });
  const host = url.host.includes(":") ? `[${url.host}]` : url.host;
  const req = request(
    {
      host: address,
      port: url.port,
      path: url.prefix === "" ? "/" : url.prefix,
      method: "POST",
      headers: {
        Host: `${host}:${url.port}`,
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
      },
      agent: false,
      signal: AbortSignal.any([stopped, AbortSignal.timeout(TIMEOUT_MS)]),
      ...(localAddress !== undefined && { localAddress }),
    },
    (res) => {
      // Only the status counts; what breaks after it breaks nothing.
      res.on("error", () => {}).resume();
      const { statusCode = 0 } = res;
      const message = `answered with status ${statusCode}`;
      if (statusCode >= 200 && statusCode < 300) resolve();
      else reject(isFinal(statusCode) ? new Refusal(message) : new Error(message));
    },
  );
  req.on("error", reject).end(body);
  return promise;
}

/** 401 is also what a provider says that has not seen the function yet. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 429;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms).unref();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
