import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { endToEndHeaders } from "../../http/forwarding.ts";

export type FunctionHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** What a function is deployed with. */
export interface StockDeployment {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly envVars?: Readonly<Record<string, string>>;
  readonly image?: string;
  readonly secrets?: readonly string[];
  readonly limits?: object;
  readonly requests?: object;
}

/** A server with what a watchdog adds: the time that each answer took, and a limit of calls at a time. */
class Replica {
  readonly server: Server;
  #inFlight = 0;

  constructor(handler: FunctionHandler, maxInflight: number) {
    this.server = createServer((req, res) => {
      res.setHeader("X-Duration-Seconds", "0.000100");
      if (maxInflight > 0 && this.#inFlight >= maxInflight) {
        res.writeHead(429, { "X-OpenFaaS-Internal": "faas-middleware" });
        res.end(`Concurrent request limit exceeded. Max concurrent requests: ${maxInflight}\n`);
        return;
      }
      this.#inFlight++;
      res.on("close", () => this.#inFlight--);
      handler(req, res);
    });
  }

  /** Goes on with an echo on connections that ask for another protocol. */
  echo(): void {
    this.server.on("upgrade", (req, socket: Socket, head) => {
      const { upgrade, "x-call-id": id } = req.headers;
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\nX-Seen: ${id}\r\n\r\n`,
      );
      socket.write(head);
      socket.pipe(socket);
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Finishes what it has, and what is on its way to it. */
  close(): void {
    setTimeout(() => this.server.close(), 200);
  }
}

/** A function of a {@link StockProvider}: real servers, as many as it is scaled to, each a while after it was wanted. */
export class StockFunction {
  readonly deployment: StockDeployment;
  wanted = 0;
  /** Those that serve. */
  readonly replicas: Replica[] = [];
  readonly #handler: FunctionHandler;
  readonly #startMs: () => number;
  readonly #changed: () => void;
  readonly #agent = new Agent();
  #starting = 0;

  constructor(deployment: StockDeployment, handler: FunctionHandler, startMs: () => number, changed: () => void) {
    this.deployment = deployment;
    this.#handler = handler;
    this.#startMs = startMs;
    this.#changed = changed;
  }

  scale(wanted: number): void {
    this.wanted = wanted;
    for (const gone of this.replicas.splice(wanted)) gone.close();
    for (let due = wanted - this.replicas.length - this.#starting; due > 0; due--) void this.#start();
    this.#changed();
  }

  async #start(): Promise<void> {
    this.#starting++;
    await new Promise((resolve) => setTimeout(resolve, this.#startMs()));
    const replica = new Replica(this.#handler, Number(this.deployment.envVars?.max_inflight ?? 0));
    replica.echo();
    await replica.listen();
    this.#starting--;
    if (this.replicas.length < this.wanted) this.replicas.push(replica);
    else replica.close();
    this.#changed();
  }

  /** As OpenFaaS's providers pass a call on. @param target path and query as the function gets them */
  call(req: IncomingMessage, res: ServerResponse, target: string): void {
    const { name } = this.deployment;
    const replica = this.replicas[Math.floor(Math.random() * this.replicas.length)];
    if (!replica) {
      refuse(res, 503, `No endpoints available for: ${name}.\n`);
      return;
    }
    const [host = "", port = ""] = replica.address.split(":");
    const headers = endToEndHeaders(req.rawHeaders, req.headers.connection, new Set(["host"]));
    const sending = request({
      host,
      port,
      path: target,
      method: req.method,
      agent: this.#agent,
      headers: [...headers, "Host", replica.address],
    });
    sending.on("response", (answer) => {
      const { connection: _c, "keep-alive": _k, "transfer-encoding": _t, ...kept } = answer.headers;
      res.writeHead(answer.statusCode as number, kept);
      answer.pipe(res);
    });
    sending.on("error", () => {
      if (!res.headersSent) refuse(res, 500, `Can't reach service for: ${name}.\n`);
      else res.destroy();
    });
    res.on("close", () => sending.destroy());
    req.pipe(sending);
  }

  /** As OpenFaaS's providers pass a WebSocket on. @param url as the function gets it */
  switchProtocols(req: IncomingMessage, url: string, socket: Socket, head: Buffer): void {
    const [host, port] = (this.replicas[0]?.address ?? "").split(":");
    const upstream = connect(Number(port), host);
    const headers = Object.entries(req.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    upstream.write(`${req.method} ${url} HTTP/1.1\r\n${headers.join("")}\r\n`);
    upstream.write(head);
    upstream.pipe(socket).on("error", () => upstream.destroy());
    socket.pipe(upstream).on("error", () => socket.destroy());
  }

  /** Ends all replicas; the provider knows it no more. */
  close(): void {
    this.wanted = 0;
    for (const replica of this.replicas.splice(0)) replica.close();
    this.#agent.destroy();
  }
}

/** As a function's proxy words what the platform failed to do. */
export function refuse(res: ServerResponse, status: number, text: string): void {
  res.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "X-OpenFaaS-Internal": "proxy",
  });
  res.end(text);
}
