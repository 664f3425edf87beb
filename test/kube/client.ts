import type { KubeServer } from "../support/kube/server.ts";

/** What a test looks at in an answer. */
// biome-ignore lint/suspicious/noExplicitAny: answers have many shapes, and the tests compare them
export type Answer = any;

export interface Reply {
  readonly status: number;
  readonly body: Answer;
  readonly headers: Headers;
}

/** Requests as a client would send them, with bodies as values. */
export class KubeClient {
  readonly #kube: Pick<KubeServer, "url">;

  constructor(kube: Pick<KubeServer, "url">) {
    this.#kube = kube;
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    const response = await fetch(`${this.#kube.url}${path}`, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    const isOne = isJson && !text.includes("}\n{");
    return { status: response.status, body: isOne && text !== "" ? JSON.parse(text) : text, headers: response.headers };
  }

  async get(path: string): Promise<Answer> {
    return await this.#expect(this.send("GET", path));
  }

  async create(path: string, body: unknown): Promise<Answer> {
    return await this.#expect(this.send("POST", path, body));
  }

  async update(path: string, body: unknown): Promise<Answer> {
    return await this.#expect(this.send("PUT", path, body));
  }

  async patch(path: string, body: unknown, type: "merge" | "strategic-merge" | "json" = "merge"): Promise<Answer> {
    const contentType = `application/${type}-patch+json`;
    return await this.#expect(this.send("PATCH", path, body, { "content-type": contentType }));
  }

  /** Server-side apply. */
  async apply(path: string, body: unknown, manager: string, force = false): Promise<Answer> {
    return await this.#expect(this.tryApply(path, body, manager, force));
  }

  async tryApply(path: string, body: unknown, manager: string, force = false): Promise<Reply> {
    const query = `?fieldManager=${manager}${force ? "&force=true" : ""}`;
    return await this.send("PATCH", path + query, body, { "content-type": "application/apply-patch+yaml" });
  }

  async delete(path: string, options?: unknown): Promise<Answer> {
    return await this.#expect(this.send("DELETE", path, options));
  }

  async #expect(sent: Promise<Reply>): Promise<Answer> {
    const { status, body } = await sent;
    if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body;
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Answer;
}

/** A watch that is being read. */
export class OpenWatch {
  readonly events: WatchEvent[] = [];
  readonly status: number;
  /** Resolves when it has ended, or been cut. */
  readonly ended: Promise<void>;
  readonly #controller: AbortController;

  private constructor(response: Response, controller: AbortController) {
    this.#controller = controller;
    this.status = response.status;
    this.ended = this.#read(response).catch(() => {});
  }

  static async open(kube: Pick<KubeServer, "url">, path: string): Promise<OpenWatch> {
    const controller = new AbortController();
    const response = await fetch(`${kube.url}${path}`, { signal: controller.signal });
    return new OpenWatch(response, controller);
  }

  /** As `ADDED a`. */
  get summary(): string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.code ?? ""}`.trim());
  }

  close(): void {
    this.#controller.abort();
  }

  async #read(response: Response): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) this.events.push(JSON.parse(line) as WatchEvent);
    }
  }
}

export const DEPLOYMENTS = "/apis/apps/v1/namespaces/openfaas-fn/deployments";
export const REPLICA_SETS = "/apis/apps/v1/namespaces/openfaas-fn/replicasets";
export const SLICES = "/apis/discovery.k8s.io/v1/namespaces/openfaas-fn/endpointslices";
export const CORE = "/api/v1/namespaces/openfaas-fn";
export const PODS = `${CORE}/pods`;
export const SERVICES = `${CORE}/services`;
export const SECRETS = `${CORE}/secrets`;
export const CONFIG_MAPS = `${CORE}/configmaps`;

/** A small deployment; `spec` and `container` are laid over it. */
export function deployment(name: string, spec: Record<string, unknown> = {}, container: Record<string, unknown> = {}) {
  const labels = { faas_function: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "openfaas-fn", labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name, image: "fn:1", ports: [{ name: "http", containerPort: 8080 }], ...container }] },
      },
      ...spec,
    },
  };
}

export function service(name: string) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "openfaas-fn" },
    spec: {
      selector: { faas_function: name },
      ports: [{ name: "http", port: 8080, targetPort: 8080, protocol: "TCP" }],
    },
  };
}

export function configMap(name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "openfaas-fn", labels }, data };
}
