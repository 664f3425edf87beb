import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";

/** A request that a {@link FakeProvider} got on any route but the endpoints stream. */
export interface ProviderRequest {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** A provider at our own contract: it streams the endpoints it is told, and remembers what it was asked. */
export class FakeProvider {
  readonly requests: ProviderRequest[] = [];
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  /** Whether the endpoints stream can be had; a status says why not, 503 unless given. */
  streams: boolean | number = true;
  readonly #functions = new Map<string, FunctionEndpoints>();
  /** Answers requests other than the endpoints stream; 202 unless replaced. */
  respond: (request: ProviderRequest, res: ServerResponse) => void = (_request, res) => res.writeHead(202).end();

  private constructor() {
    this.#server = createServer((req, res) => void this.#handle(req, res));
  }

  static async open(): Promise<FakeProvider> {
    const provider = new FakeProvider();
    await new Promise<void>((resolve) => provider.#server.listen(0, "127.0.0.1", resolve));
    return provider;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`);
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Announces a function or a change of it; what is not given is as for a healthy function with one replica. */
  put(snapshot: Partial<FunctionEndpoints> & { readonly name: string }): void {
    const whole = {
      namespace: "openfaas-fn",
      labels: {},
      annotations: {},
      replicas: 1,
      generation: 1,
      endpoints: [],
      ...snapshot,
    };
    this.#functions.set(whole.name, whole);
    this.#send({ type: "changed", function: whole });
  }

  /** As it was announced last. */
  of(name: string): FunctionEndpoints | undefined {
    return this.#functions.get(name);
  }

  remove(name: string): void {
    const gone = this.#functions.get(name) as FunctionEndpoints;
    this.#functions.delete(name);
    this.#send({ type: "removed", function: gone });
  }

  /** Forgets a function without a word, as a provider does that restarts. */
  forget(name: string): void {
    this.#functions.delete(name);
  }

  cutStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #send(event: EndpointsEvent): void {
    for (const stream of this.#streams) stream.write(`${JSON.stringify(event)}\n`);
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.url === "/system/endpoints") {
      if (this.streams !== true) {
        res.writeHead(this.streams || 503).end();
        return;
      }
      res.writeHead(200, { "content-type": "application/x-ndjson" });
      for (const snapshot of this.#functions.values()) {
        res.write(`${JSON.stringify({ type: "snapshot", function: snapshot })}\n`);
      }
      res.write(`${JSON.stringify({ type: "heartbeat" })}\n`);
      this.#streams.add(res);
      res.on("close", () => this.#streams.delete(res));
      return;
    }
    // Which no test is about: there are no objects here.
    if (req.url === "/system/event-objects") {
      res.writeHead(501).end();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const request = {
      method: req.method as string,
      url: req.url as string,
      authorization: req.headers.authorization,
      body: Buffer.concat(chunks).toString("utf8"),
    };
    this.requests.push(request);
    this.respond(request, res);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
