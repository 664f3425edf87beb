import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly at: number;
}

export interface SubscriberReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** What it answers to a request; `undefined` breaks the connection off, a promise keeps it waiting. */
export type Answer = (
  request: ReceivedRequest,
  place: number,
) => SubscriberReply | undefined | Promise<SubscriberReply | undefined>;

/** An HTTP server that keeps what it gets, and answers as it is told. */
export class HttpSubscriber {
  readonly received: ReceivedRequest[] = [];
  answer: Answer = () => ({ status: 204 });
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async open(answer?: Answer): Promise<HttpSubscriber> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const subscriber = new HttpSubscriber(server);
    if (answer) subscriber.answer = answer;
    server.on("request", async (req, res) => {
      const pieces: Buffer[] = [];
      for await (const piece of req) pieces.push(piece as Buffer);
      const request = {
        method: req.method ?? "",
        path: req.url ?? "",
        headers: req.headers,
        body: Buffer.concat(pieces),
        at: performance.now(),
      };
      subscriber.received.push(request);
      await subscriber.#reply(res, request, subscriber.received.length - 1);
    });
    return subscriber;
  }

  async #reply(res: ServerResponse, request: ReceivedRequest, place: number): Promise<void> {
    const reply = await this.answer(request, place);
    if (!reply) res.destroy();
    else res.writeHead(reply.status, reply.headers).end(reply.body);
  }

  /** Values of the attribute `id`, in order of arrival. */
  get ids(): (string | undefined)[] {
    return this.received.map(({ headers }) => headers["ce-id"] as string | undefined);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
