import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as a gateway saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks are sent one by one. */
  readonly body?: string | readonly string[] | AsyncIterable<string>;
}

/** Answers a request; undefined hangs up without an answer. */
export type Responder = (request: Seen) => Reply | undefined | Promise<Reply | undefined>;

export interface FakeGateway extends AsyncDisposable {
  readonly url: string;
  readonly seen: Seen[];
  /** What answers from now on. */
  respond: Responder;
}

/** An HTTP server that writes down what it is asked and answers as a test says. */
export async function openFakeGateway(respond: Responder = () => ({ status: 404 })): Promise<FakeGateway> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => void handle(req, res));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;

  const gateway: FakeGateway = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    respond,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { method = "", url: path = "", headers } = req;
    const request = { method, path, headers, body: Buffer.concat(chunks) };
    seen.push(request);
    const reply = await gateway.respond(request);
    if (!reply) {
      req.socket.destroy();
      return;
    }
    res.writeHead(reply.status, reply.headers);
    for await (const chunk of typeof reply.body === "string" ? [reply.body] : (reply.body ?? [])) {
      // Whoever asked has left; a body without end would be written for ever.
      if (res.destroyed) return;
      res.write(chunk);
    }
    res.end();
  }
  return gateway;
}

/** The body of a request as JSON. */
export function jsonOf({ body }: Pick<Seen, "body">): unknown {
  return JSON.parse(body.toString("utf8"));
}

export const json = (value: unknown): Reply => ({
  status: 200,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});
