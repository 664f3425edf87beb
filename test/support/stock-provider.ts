import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, type Socket, Server as TcpServer } from "node:net";
import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import type { ProviderRequest } from "./fake-provider.ts";
import { type FunctionHandler, refuse, type StockDeployment, StockFunction } from "./stock-function.ts";

export interface StockProviderOptions {
  /** Whose ways it has; faas-netes lists how many replicas serve, faasd tells that of one function only. */
  readonly kind?: "faas-netes" | "faasd";
  /** What `/system` wants, but for its namespaces, as with the originals. */
  readonly authorization?: string;
}

type DeployRequest = Omit<StockDeployment, "name"> & { readonly service: string };

const DEFAULT = "openfaas-fn";
const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);

/**
 * A provider of OpenFaaS's contract, with functions that are real servers behind its `/function`. It answers as faas-netes
 * and faasd do. It can be away, and become one of faaslane's kind, with an endpoints stream in place of `/function`.
 */
export class StockProvider {
  /** What `/system` was asked for. */
  readonly requests: ProviderRequest[] = [];
  readonly secrets = new Set<string>();
  namespaces: readonly string[] = [DEFAULT];
  /** From the moment that a replica is wanted until it serves. */
  startMs = 0;
  /** Orders for more are taken, and this is made of them; those for none are refused, as by faas-netes CE. */
  maxReplicas: number | undefined;
  /** Handler of what is deployed by a request. */
  handler: FunctionHandler = (req, res) => res.end(`${req.method} ${req.url}`);
  /** Answers in place of the provider where it returns true. */
  fault: (req: IncomingMessage, res: ServerResponse) => boolean = () => false;
  readonly #options: StockProviderOptions;
  readonly #functions = new Map<string, StockFunction>();
  readonly #streams = new Set<ServerResponse>();
  #streaming = false;
  #server: Server | undefined;
  #port = 0;

  private constructor(options: StockProviderOptions) {
    this.#options = options;
  }

  static async open(options: StockProviderOptions = {}): Promise<StockProvider> {
    const provider = new StockProvider(options);
    await provider.up();
    return provider;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#port}/`);
  }

  /** Listens, on the port that it had before. */
  async up(): Promise<void> {
    const server: Server = createServer((req, res) => {
      const leaving = this.#server !== server;
      if (leaving) res.setHeader("Connection", "close");
      if (leaving && req.url === "/system/endpoints") res.writeHead(503).end();
      else this.again(req, res);
    });
    server.on("upgrade", (req, socket: Socket, head) => this.#switch(req, socket, head));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  /**
   * Stops listening. What is under way is finished and connections are closed after an answer, as a proxy does that knows
   * its trade; or all of it is `cut`.
   */
  async down({ cut = false } = {}): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    for (const stream of this.#streams) stream.destroy();
    const closed = new Promise((resolve) => server.on("close", resolve));
    // That of HTTP servers closes connections on which a request may just be arriving.
    TcpServer.prototype.close.call(server);
    if (cut) server.closeAllConnections();
    await closed;
  }

  /** Comes back as the other kind, with the same functions. */
  async replace(streaming: boolean, awayMs = 0): Promise<void> {
    await this.down();
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    this.#streaming = streaming;
    await this.up();
  }

  /** @param replicas that serve soon */
  deploy(deployment: StockDeployment, replicas = 1, handler = this.handler): StockFunction {
    const fn = new StockFunction(
      deployment,
      handler,
      () => this.startMs,
      () => this.#announce("changed", fn),
    );
    this.#functions.set(keyOf(deployment), fn);
    fn.scale(replicas);
    return fn;
  }

  find(name: string, namespace = DEFAULT): StockFunction | undefined {
    return this.#functions.get(`${name}.${namespace}`);
  }

  remove(name: string, namespace = DEFAULT): void {
    const fn = this.find(name, namespace);
    fn?.close();
    if (fn) this.#announce("removed", fn);
    this.#functions.delete(`${name}.${namespace}`);
  }

  /** Numbers of replicas that were ordered, oldest first. */
  orders(): number[] {
    return this.requests
      .filter(({ url }) => url.startsWith("/system/scale-function/"))
      .map(({ body }) => (JSON.parse(body) as { replicas: number }).replicas);
  }

  async close(): Promise<void> {
    for (const fn of this.#functions.values()) fn.close();
    await this.down({ cut: true });
  }

  /** Answers a request, also one that a {@link fault} has held up. Who asks may have left. */
  again(req: IncomingMessage, res: ServerResponse): void {
    this.#handle(req, res).catch(() => res.destroy());
  }

  #announce(type: "snapshot" | "changed" | "removed", fn: StockFunction, to: Iterable<ServerResponse> = this.#streams) {
    const event: EndpointsEvent = { type, function: endpointsOf(fn) };
    for (const stream of to) stream.write(`${JSON.stringify(event)}\n`);
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (this.fault(req, res)) return;
    const url = req.url as string;
    if (url.startsWith("/function/")) {
      this.#call(req, res);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { authorization } = req.headers;
    const body = Buffer.concat(chunks).toString("utf8");
    this.requests.push({ method: req.method as string, url, authorization, body });
    const wanted = this.#options.authorization;
    if (wanted && authorization !== wanted && !url.startsWith("/system/namespace") && url !== "/healthz") {
      res.writeHead(401, { "WWW-Authenticate": 'Basic realm="Restricted"' }).end("invalid credentials");
      return;
    }
    this.#answer(req.method as string, new URL(url, this.url), body, res);
  }

  #call(req: IncomingMessage, res: ServerResponse): void {
    if (this.#streaming) {
      res.writeHead(404, { "X-Faaslane-Error": "unknown_route" }).end("404 page not found\n");
      return;
    }
    const [, target = "", rest = "", query = ""] =
      /^\/function\/([-\w.]+)(\/[^?]*)?(\?.*)?$/.exec(req.url as string) ?? [];
    if (!METHODS.has(req.method as string)) {
      res.writeHead(405).end();
      return;
    }
    const dot = target.lastIndexOf(".");
    const fn = dot < 0 ? this.find(target) : this.find(target.slice(0, dot), target.slice(dot + 1));
    if (fn) fn.call(req, res, `${rest || "/"}${query}`);
    else refuse(res, 503, `No endpoints available for: ${target}.\n`);
  }

  #switch(req: IncomingMessage, socket: Socket, head: Buffer): void {
    const [, name = "", url = ""] = /^\/function\/([-\w]+)\.[-\w]+(\/.*)$/.exec(req.url as string) ?? [];
    this.find(name)?.switchProtocols(req, url, socket, head);
  }

  #answer(method: string, { pathname, searchParams }: URL, body: string, res: ServerResponse): void {
    const namespace = searchParams.get("namespace") ?? DEFAULT;
    const [, route = "", name = ""] = /^(\/system\/[a-z-]+)(?:\/(.*))?$/.exec(pathname) ?? [];
    const known = this.namespaces.includes(namespace);
    switch (`${method} ${route}`) {
      case "GET /system/endpoints":
        if (this.#streaming) this.#stream(res);
        else notFound(res);
        return;
      case "GET /system/namespaces":
        sendJson(res, this.namespaces);
        return;
      case "GET /system/info":
        sendJson(res, {
          provider: "faas-netes-ce",
          version: { sha: "1", release: "dev" },
          orchestration: "kubernetes",
        });
        return;
      case "GET /system/functions":
        if (!known) res.writeHead(400).end(`namespace must be: ${DEFAULT}\n`);
        else
          sendJson(
            res,
            this.#in(namespace).map((fn) => this.#status(fn, true)),
          );
        return;
      case "POST /system/functions":
      case "PUT /system/functions":
        this.#deployAsked(method, body, res);
        return;
      case "DELETE /system/functions": {
        const { functionName } = JSON.parse(body) as { functionName: string };
        if (!this.find(functionName, namespace)) res.writeHead(404).end(`deployments.apps "${functionName}" not found`);
        else {
          this.remove(functionName, namespace);
          res.writeHead(202).end();
        }
        return;
      }
      case "GET /system/function": {
        const fn = this.find(name, namespace);
        if (fn) sendJson(res, this.#status(fn, false));
        else res.writeHead(404).end();
        return;
      }
      case "POST /system/scale-function": {
        const fn = this.find(name, namespace);
        const { replicas } = JSON.parse(body) as { replicas: number };
        const { maxReplicas = Number.POSITIVE_INFINITY } = this;
        if (maxReplicas < Number.POSITIVE_INFINITY && replicas === 0) {
          res.writeHead(400).end("replicas cannot be set to 0 in OpenFaaS CE\n");
          return;
        }
        fn?.scale(Math.min(replicas, maxReplicas));
        res.writeHead(fn ? 202 : 500).end(fn ? "" : `Unable to lookup function deployment ${name}\n`);
        return;
      }
      case "GET /system/secrets":
        sendJson(
          res,
          [...this.secrets].map((secret) => ({ name: secret, namespace })),
        );
        return;
      case "POST /system/secrets":
      case "PUT /system/secrets":
      case "DELETE /system/secrets":
        this.#changeSecret(method, (JSON.parse(body) as { name: string }).name, res);
        return;
      case "GET /system/logs":
        res.writeHead(200, { "Content-Type": "application/x-ndjson" });
        res.end(
          `${JSON.stringify({ name: searchParams.get("name"), namespace: "", instance: "a", text: "hello\n" })}\n`,
        );
        return;
      default:
        if (pathname === "/healthz") res.writeHead(200).end();
        else notFound(res);
    }
  }

  #deployAsked(method: string, body: string, res: ServerResponse): void {
    const { service, namespace = DEFAULT, ...rest } = JSON.parse(body) as DeployRequest;
    const missing = rest.secrets?.find((secret) => !this.secrets.has(secret));
    const before = this.find(service, namespace);
    if (method === "PUT" && !before) {
      const why = `deployments.apps "${service}" not found`;
      res.writeHead(404).end(`unable update Deployment: ${service}.${namespace}, error: ${why}\n`);
      return;
    }
    if (missing !== undefined) {
      res.writeHead(400).end(`unable to fetch secrets: secrets "${missing}" not found\n`);
      return;
    }
    const replicas = before?.wanted ?? 1;
    before?.close();
    this.deploy({ ...rest, name: service, namespace }, replicas);
    res.writeHead(202).end();
  }

  #changeSecret(method: string, name: string, res: ServerResponse): void {
    const known = this.secrets.has(name);
    if (method === "POST" ? known : !known) {
      res.writeHead(known ? 409 : 404).end();
      return;
    }
    if (method === "DELETE") this.secrets.delete(name);
    else this.secrets.add(name);
    res.writeHead(202).end();
  }

  #in(namespace: string): StockFunction[] {
    return [...this.#functions.values()].filter((fn) => (fn.deployment.namespace ?? DEFAULT) === namespace);
  }

  #status({ deployment, wanted, replicas }: StockFunction, listed: boolean): object {
    const { name, namespace = DEFAULT, labels = {}, annotations = {}, envVars } = deployment;
    const { image = "docker.io/local/fn:1", secrets, limits, requests } = deployment;
    const faasd = this.#options.kind === "faasd";
    return {
      name,
      namespace,
      image,
      labels: { faas_function: name, ...labels },
      annotations: { "prometheus.io.scrape": "false", ...annotations },
      ...(secrets && { secrets }),
      ...(limits && { limits }),
      ...(requests && { requests }),
      ...(faasd && envVars && { envVars }),
      ...(wanted > 0 && { replicas: wanted }),
      ...(replicas.length > 0 && !(faasd && listed) && { availableReplicas: replicas.length }),
      createdAt: "2026-01-31T12:00:00Z",
    };
  }

  #stream(res: ServerResponse): void {
    res.writeHead(200, { "Content-Type": "application/x-ndjson" });
    for (const fn of this.#functions.values()) this.#announce("snapshot", fn, [res]);
    res.write(`${JSON.stringify({ type: "heartbeat" })}\n`);
    this.#streams.add(res);
    res.on("close", () => this.#streams.delete(res));
  }
}

function keyOf({ name, namespace = DEFAULT }: StockDeployment): string {
  return `${name}.${namespace}`;
}

function endpointsOf({ deployment, wanted, replicas }: StockFunction): FunctionEndpoints {
  const { name, namespace = DEFAULT, labels = {}, annotations = {} } = deployment;
  const endpoints = replicas.map(({ address }) => ({ address, instance: address, state: "ready" as const }));
  return { name, namespace, labels, annotations, replicas: wanted, generation: 1, endpoints };
}

function sendJson(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

function notFound(res: ServerResponse): void {
  res.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" }).end("404 page not found\n");
}
