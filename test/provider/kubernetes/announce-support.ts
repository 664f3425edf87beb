import { request } from "node:http";
import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { createLogger } from "../../../kit/log.ts";
import { listen } from "../../../kit/server.ts";
import { listenForAnnouncements } from "../../../provider/announce-app.ts";
import { buildProvider } from "../../../provider/app.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import type { KubeServer } from "../../support/kube/server.ts";
import { type BackendUnderTest, openBackend } from "./support.ts";

/** A provider whose functions' pods announce themselves at it, with the endpoints that it streams. */
export interface AnnouncedProvider {
  readonly url: string;
  /** Where pods announce themselves, and nothing else is. */
  readonly announceUrl: string;
  readonly backend: Backend;
  endpoints(name: string): FunctionEndpoints["endpoints"];
  /** Every address that was ever said to be ready. */
  readonly offered: ReadonlySet<string>;
  close(): Promise<void>;
}

type Announced = Parameters<NonNullable<Backend["announce"]>>;

export interface OpenOptions extends Pick<BackendUnderTest, "operator"> {
  /** False for one that does not want to hear of pods; its address is told all the same. */
  readonly announces?: boolean;
  /** Where it hears of them; 0 for a free one. */
  readonly announcePort?: number;
}

export async function openProvider(
  kube: KubeServer,
  { announces = true, announcePort = 0, operator }: OpenOptions = {},
): Promise<AnnouncedProvider> {
  const log = createLogger("silent");
  // The backend has to know the port before anything can be served on it.
  let backend: Backend | undefined;
  const announced = { announce: (...given: Announced) => backend?.announce?.(...given) ?? false, log };
  const where = { port: announcePort, host: "127.0.0.1" };
  const forPods = announces
    ? await listenForAnnouncements(announced, where)
    : await listen((_req, res) => res.writeHead(404).end(), where);
  backend = openBackend(kube, {
    ...(announces && { announceUrl: new URL(forPods.url) }),
    ...(operator && { operator }),
  });
  const opened = backend;
  const closing = new AbortController();
  const handler = buildProvider({ backend: opened, log, closing: closing.signal });
  const server = await listen(handler, { port: 0, host: "127.0.0.1" });
  const snapshot = new Map<string, FunctionEndpoints>();
  const offered = new Set<string>();
  const following = (async () => {
    for await (const event of opened.watch(closing.signal)) {
      if (event.type === "removed") snapshot.delete(event.function.name);
      else if (event.type !== "heartbeat") {
        snapshot.set(event.function.name, event.function);
        for (const { address, state } of event.function.endpoints) if (state === "ready") offered.add(address);
      }
    }
  })();
  return {
    url: server.url,
    announceUrl: forPods.url,
    backend: opened,
    offered,
    endpoints: (name) => snapshot.get(name)?.endpoints ?? [],
    close: async () => {
      closing.abort();
      await following;
      await Promise.all([server.drain(0), forPods.drain(0)]);
      await opened.close(0);
    },
  };
}

export interface Sent {
  readonly body: string | object;
  readonly token?: string;
  /** Address to call from. */
  readonly from?: string;
  readonly headers?: Record<string, string>;
}

/** Posts an announcement. @returns status and text */
export function announce(provider: string, { body, token, from = "127.0.0.1", headers = {} }: Sent) {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const req = request(
    `${provider}/announce`,
    { method: "POST", localAddress: from, agent: false, headers: { ...authorization, ...headers } },
    async (res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of res) chunks.push(chunk as Buffer);
      resolve({ status: res.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8").trim() });
    },
  );
  req.on("error", reject).end(typeof body === "string" ? body : JSON.stringify(body));
  return promise;
}
