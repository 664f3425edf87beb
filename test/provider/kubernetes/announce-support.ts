import type { RequestListener } from "node:http";
import { request } from "node:http";
import { buildProvider } from "../../../provider/app.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import type { FunctionEndpoints } from "../../../provider/contract/endpoints.ts";
import { createLogger } from "../../../provider/kit/log.ts";
import { listen } from "../../../provider/kit/server.ts";
import type { KubeServer } from "../../support/kube/server.ts";
import { openBackend } from "./support.ts";

/** A provider whose functions' pods announce themselves at it, with the endpoints that it streams. */
export interface AnnouncedProvider {
  readonly url: string;
  readonly backend: Backend;
  endpoints(name: string): FunctionEndpoints["endpoints"];
  /** Every address that was ever said to be ready. */
  readonly offered: ReadonlySet<string>;
  close(): Promise<void>;
}

/** @param announces false for one that does not want to hear of pods; its address is told all the same */
export async function openProvider(kube: KubeServer, { announces = true, port = 0 } = {}): Promise<AnnouncedProvider> {
  // The backend has to know the port before it can be served on it.
  let handler: RequestListener = (_req, res) => res.writeHead(503).end();
  const server = await listen((req, res) => handler(req, res), { port, host: "127.0.0.1" });
  const backend = openBackend(kube, announces ? { announceUrl: new URL(server.url) } : {});
  const closing = new AbortController();
  handler = buildProvider({ backend, log: createLogger("silent"), closing: closing.signal });
  const picture = new Map<string, FunctionEndpoints>();
  const offered = new Set<string>();
  const following = (async () => {
    for await (const event of backend.watch(closing.signal)) {
      if (event.type === "removed") picture.delete(event.function.name);
      else if (event.type !== "heartbeat") {
        picture.set(event.function.name, event.function);
        for (const { address, state } of event.function.endpoints) if (state === "ready") offered.add(address);
      }
    }
  })();
  return {
    url: server.url,
    backend,
    offered,
    endpoints: (name) => picture.get(name)?.endpoints ?? [],
    close: async () => {
      closing.abort();
      await following;
      await server.drain(0);
      await backend.close(0);
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
