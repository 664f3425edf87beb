import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EndpointsEvent, FunctionEndpoints } from "../../../contract/endpoints.ts";
import type { FunctionStatus } from "../../../contract/functions.ts";
import type { LogMessage, LogQuery } from "../../../contract/logs.ts";
import { createLogger } from "../../../kit/log.ts";
import type { Backend, ResolvedDeployment } from "../../../provider/backends/backend.ts";
import type { Images } from "../../../provider/backends/local/images.ts";
import { type LocalBackendOptions, openLocalBackend } from "../../../provider/backends/local/local-backend.ts";
import { treeSize } from "../../../provider/backends/local/tree-size.ts";

export const NAMESPACE = "openfaas-fn";
export const WATCHDOG = fileURLToPath(new URL("../../../dist/watchdog.mjs", import.meta.url));

/** Resolves with what `probe` returns as soon as that is something. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Files of a build context that runs in the watchdog's own process. */
export function inProcess(source: string, env: Record<string, string> = {}): Record<string, string> {
  return {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs", ...env } }),
    "index.mjs": source,
  };
}

/** Files of a build context that starts a program for each call. */
export function forking(fprocess: string): Record<string, string> {
  return { "faaslane.json": JSON.stringify({ env: { fprocess } }) };
}

export const ECHO = inProcess(`
  import { readdirSync, readFileSync } from "node:fs";
  import { createHash } from "node:crypto";
  export default (req, res) => {
    const url = new URL(req.url, "http://x");
    const secrets = process.env.FAASLANE_SECRETS_DIR;
    const asked = url.searchParams.get("secret");
    if (url.pathname === "/exit") process.exit(Number(url.searchParams.get("code")));
    if (url.pathname === "/log") console.log(url.searchParams.get("line"));
    if (url.pathname === "/busy") { const end = Date.now() + 1000; let n = 0; while (Date.now() < end) n += createHash("md5").update("x").digest()[0]; }
    const body = JSON.stringify({
      pid: process.pid, cwd: process.cwd(), env: process.env, argv: process.execArgv, secrets: readdirSync(secrets),
      secret: asked ? readFileSync(secrets + "/" + asked, "utf8") : undefined,
    });
    setTimeout(() => res.end(body), Number(url.searchParams.get("sleep") ?? 0));
  };
`);

export interface LocalFixture {
  readonly dataDir: string;
  readonly backend: Backend;
  /** Lines that the backend has logged. */
  readonly logged: string[];
  /** Makes an image of `files` under `reference`. @param sized whether its size is known at once @returns its digest */
  addImage(reference: string, files: Record<string, string>, sized?: boolean): Promise<string>;
  /** Closes the backend and opens it anew on the same folder. */
  reopen(options?: Partial<LocalBackendOptions>): Promise<void>;
  close(): Promise<void>;
}

/** A local backend in a folder of its own, with the real watchdog. */
export async function openFixture(options: Partial<LocalBackendOptions> = {}): Promise<LocalFixture> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "faaslane-local-")));
  const logged: string[] = [];
  let images: Images | undefined;
  const open = (more: Partial<LocalBackendOptions>) =>
    openLocalBackend({
      dataDir,
      defaultNamespace: NAMESPACE,
      version: { release: "test", sha: "test" },
      nodePath: process.execPath,
      watchdogPath: WATCHDOG,
      environment: { PATH: process.env.PATH, PLATFORM_TOKEN: "never to be seen" },
      log: createLogger("info", { write: (line) => void logged.push(line) }),
      // Tests put finished artefacts where a builder would, so there is nothing to build with.
      openBuilder: (opened) => {
        images = opened;
        return {
          build: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }),
        };
      },
      ...options,
      ...more,
    });
  let backend = await open({});
  return {
    dataDir,
    logged,
    get backend() {
      return backend;
    },
    addImage: (reference, files, sized = true) => addImage(images as Images, reference, files, sized),
    reopen: async (more = {}) => {
      await backend.close(5_000);
      backend = await open(more);
    },
    close: async () => {
      await backend.close(5_000);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function addImage(
  images: Images,
  reference: string,
  files: Record<string, string>,
  sized: boolean,
): Promise<string> {
  const digest = createHash("sha256").update(JSON.stringify(files)).digest("hex");
  const release = images.hold(digest);
  for (const [name, text] of Object.entries(files)) {
    const file = join(images.artefactPath(digest), name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  images.register(reference, digest, sized ? await treeSize(images.artefactPath(digest)) : undefined);
  release();
  return digest;
}

export function deployment(service: string, image: string, more: Partial<ResolvedDeployment> = {}): ResolvedDeployment {
  return { service, image, namespace: NAMESPACE, ...more };
}

export const ref = (name: string) => ({ name, namespace: NAMESPACE });

export async function statusOf(backend: Backend, name: string): Promise<FunctionStatus> {
  const status = await backend.functions.get(ref(name));
  if (!status) throw new Error(`there is no function ${name}`);
  return status;
}

/** Waits for exactly `count` replicas that serve. */
export async function untilReady(backend: Backend, name: string, count = 1): Promise<FunctionStatus> {
  return await until(`${count} ready replicas of ${name}`, async () => {
    const status = await statusOf(backend, name);
    return (status.availableReplicas ?? 0) === count && status;
  });
}

/** The present snapshot of all functions, as a gateway that has just come gets it. */
export async function snapshotOf(backend: Backend): Promise<Map<string, FunctionEndpoints>> {
  const snapshot = new Map<string, FunctionEndpoints>();
  for await (const event of backend.watch(new AbortController().signal)) {
    if (event.type === "heartbeat") return snapshot;
    snapshot.set(event.function.name, event.function);
  }
  return snapshot;
}

export async function endpointsOf(backend: Backend, name: string): Promise<FunctionEndpoints> {
  const found = (await snapshotOf(backend)).get(name);
  if (!found) throw new Error(`function ${name} is not in the snapshot`);
  return found;
}

/** Addresses of the replicas that serve. */
export async function readyAddresses(backend: Backend, name: string): Promise<string[]> {
  const { endpoints } = await endpointsOf(backend, name);
  return endpoints.filter(({ state }) => state === "ready").map(({ address }) => address);
}

/** Follows the stream until `stop`, keeping what came. */
export function follow(backend: Backend): { events: EndpointsEvent[]; stop(): Promise<void> } {
  const events: EndpointsEvent[] = [];
  const controller = new AbortController();
  const done = (async () => {
    for await (const event of backend.watch(controller.signal)) events.push(event);
  })();
  return {
    events,
    stop: async () => {
      controller.abort();
      await done;
    },
  };
}

export interface CallResult {
  readonly status: number;
  readonly body: string;
}

/** One call on a connection of its own. */
export function call(address: string, path = "/"): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    const req = request(`http://${address}${path}`, { agent: false, timeout: 10_000 }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    req.on("timeout", () => req.destroy(new Error("call timed out")));
    req.on("error", reject);
    req.end();
  });
}

export interface EchoReply {
  readonly pid: number;
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly argv: string[];
  readonly secrets: string[];
  readonly secret?: string;
}

/** Calls the first replica that serves, which has to run {@link ECHO}. */
export async function echo(backend: Backend, name: string, path = "/"): Promise<EchoReply> {
  const [address] = await readyAddresses(backend, name);
  if (!address) throw new Error(`no replica of ${name} serves`);
  return JSON.parse((await call(address, path)).body) as EchoReply;
}

export async function readLogs(backend: Backend, query: Partial<LogQuery> & { name: string }): Promise<LogMessage[]> {
  const lines: LogMessage[] = [];
  const full = { namespace: NAMESPACE, follow: false, ...query };
  for await (const line of backend.logs(full, new AbortController().signal)) lines.push(line);
  return lines;
}

/** Whether a process runs; one that has ended and only waits to be noticed by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
