import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Api } from "./api.ts";
import type { Controller } from "./controllers/controller.ts";
import { CustomResourceController } from "./controllers/custom-resources.ts";
import { DeploymentController } from "./controllers/deployments.ts";
import { EndpointSliceController } from "./controllers/endpointslices.ts";
import { GarbageCollector } from "./controllers/garbage.ts";
import { NamespaceController } from "./controllers/namespaces.ts";
import { ReplicaSetController } from "./controllers/replicasets.ts";
import { Scheduler } from "./controllers/scheduler.ts";
import { Encoder } from "./http/encode.ts";
import { Faults } from "./http/faults.ts";
import { apiListener } from "./http/listener.ts";
import type { Account } from "./http/rbac.ts";
import { WatchHub } from "./http/watch.ts";
import { FakeRuntime } from "./kubelet/fake-runtime.ts";
import { Kubelet } from "./kubelet/kubelet.ts";
import type { Runtime } from "./kubelet/runtime.ts";
import { QUICK, type Timing } from "./kubelet/timing.ts";
import { OPENFAAS_CRDS } from "./openfaas-crds.ts";
import { systemRandom } from "./random.ts";
import { ResourceTable } from "./resources.ts";
import { TypeLibrary } from "./schema/notation.ts";
import { notFound } from "./status.ts";
import { Store } from "./store.ts";
import type { Fields } from "./types.ts";

export type ControllerName =
  | "deployments"
  | "replicasets"
  | "endpointslices"
  | "namespaces"
  | "garbage"
  | "scheduler"
  | "kubelet";

export interface KubeOptions {
  /** 0, a free one, unless given. */
  readonly port?: number;
  /** Namespaces to begin with, besides `default` and `kube-system`; `openfaas` and `openfaas-fn` unless given. */
  readonly namespaces?: readonly (string | { readonly name: string; readonly annotations?: Record<string, string> })[];
  /** How pods are run; only in appearance unless given. */
  readonly runtime?: Runtime;
  readonly timing?: Partial<Timing>;
  /** Which controllers do not run. */
  readonly without?: readonly ControllerName[];
  /** CustomResourceDefinitions to begin with; lenient ones of OpenFaaS unless given. */
  readonly crds?: readonly Fields[];
  /** Nodes, with what they have room for; one without limits unless given. */
  readonly nodes?: readonly {
    readonly name: string;
    readonly labels?: Record<string, string>;
    readonly allocatable?: Record<string, string>;
  }[];
  /** Changes of each resource that a watch can look back at. */
  readonly eventWindow?: number;
  readonly bookmarkIntervalMs?: number;
  readonly endpointSliceSize?: number;
  /** Bearer token that clients must bring; "" unless given: none. */
  readonly token?: string;
  /** A client that may do no more than it was granted; the kubeconfig is for it. */
  readonly account?: Account;
}

/**
 * A Kubernetes API server with controllers and a node, in this process, on a loopback port: as strict as the real one
 * where that matters to its clients.
 */
export class KubeServer {
  readonly store: Store;
  readonly api: Api;
  readonly faults = new Faults();
  readonly watches: WatchHub;
  readonly scheduler: Scheduler;
  readonly kubelet: Kubelet;
  readonly runtime: Runtime;
  readonly #server: Server;
  readonly #clientToken: string;
  readonly #controllers: readonly Controller[];
  #port: number;
  #cutter: NodeJS.Timeout | undefined;

  private constructor(options: KubeOptions) {
    const { token = "", account } = options;
    this.#clientToken = account?.token ?? token;
    this.#port = options.port ?? 0;
    this.store = new Store(options.eventWindow === undefined ? {} : { eventWindow: options.eventWindow });
    const resources = new ResourceTable(TypeLibrary.load());
    this.api = new Api({
      store: this.store,
      resources,
      random: systemRandom,
      now: () => Date.now(),
      defaults: { allocateClusterIp: clusterIps() },
    });
    this.runtime = options.runtime ?? new FakeRuntime();
    this.scheduler = new Scheduler(this.api);
    const timing = { ...QUICK, ...options.timing };
    this.kubelet = new Kubelet(this.api, { runtime: this.runtime, timing, hostIp: "127.0.0.1" });
    const all: readonly (readonly [ControllerName | "crds", Controller])[] = [
      ["crds", new CustomResourceController(this.api)],
      ["deployments", new DeploymentController(this.api)],
      ["replicasets", new ReplicaSetController(this.api)],
      ["endpointslices", new EndpointSliceController(this.api, options.endpointSliceSize ?? 100)],
      ["namespaces", new NamespaceController(this.api)],
      ["garbage", new GarbageCollector(this.api)],
      ["scheduler", this.scheduler],
      ["kubelet", this.kubelet],
    ];
    const off = new Set<string>(options.without);
    this.#controllers = all.filter(([name]) => !off.has(name)).map(([, controller]) => controller);
    const encoder = new Encoder();
    this.watches = new WatchHub(this.store, encoder, options.bookmarkIntervalMs ?? 10_000);
    for (const controller of this.#controllers) this.store.subscribe((event) => controller.handle(event));
    const readLog = this.kubelet.readLog.bind(this.kubelet);
    const deps = { api: this.api, watches: this.watches, encoder, readLog, faults: this.faults, token };
    this.#server = createServer({ keepAliveTimeout: 60_000 }, apiListener({ ...deps, ...(account && { account }) }));
    this.#populate(options);
  }

  static async open(options: KubeOptions = {}): Promise<KubeServer> {
    const kube = new KubeServer(options);
    await kube.#listen();
    return kube;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A kubeconfig with which clients find this server, as JSON, which is YAML too. */
  kubeconfig({ namespace = "default" } = {}): string {
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      // The official client takes plain HTTP only from those who do not care for certificates.
      clusters: [{ name: "test", cluster: { server: this.url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "test", user: this.#clientToken === "" ? {} : { token: this.#clientToken } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace } }],
      "current-context": "test",
    });
  }

  /** From now on resuming a watch or a list from before answers 410, as after etcd's compaction. */
  compact(): void {
    this.store.compact();
  }

  /** Ends all watches every so often; undefined stops that. */
  cutWatchesEvery(intervalMs: number | undefined): void {
    clearInterval(this.#cutter);
    if (intervalMs !== undefined) this.#cutter = setInterval(() => this.watches.cut(), intervalMs).unref();
  }

  /** Refuses connections, and cuts those that there are. The state is kept, and controllers go on. */
  async goAway(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Ends `goAway`, on the same port. */
  async comeBack(): Promise<void> {
    await this.#listen();
  }

  /** Gives up everything, running containers too. May be called twice. */
  async close(): Promise<void> {
    clearInterval(this.#cutter);
    for (const controller of this.#controllers) controller.close();
    this.watches.close();
    await this.goAway();
    await this.kubelet.drained();
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  #populate({
    namespaces = ["openfaas", "openfaas-fn"],
    crds = OPENFAAS_CRDS,
    nodes = [{ name: "node-1" }],
  }: KubeOptions): void {
    const options = { fieldManager: "test", fieldValidation: "Strict", dryRun: false, subresource: "" } as const;
    for (const namespace of ["default", "kube-system", ...namespaces]) {
      const metadata = typeof namespace === "string" ? { name: namespace } : namespace;
      this.api.create(this.api.resources.byKey("namespaces"), "", { metadata }, options);
    }
    for (const definition of crds) {
      const resource = this.api.resources.byKey("customresourcedefinitions.apiextensions.k8s.io");
      // At once, so that nobody has to wait for it to be established.
      this.api.resources.define(this.api.create(resource, "", definition, options).object);
    }
    for (const { name, labels, allocatable } of nodes) {
      const system = { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" };
      const { object } = this.api.create(
        this.api.resources.byKey("nodes"),
        "",
        { metadata: { name, labels: { ...system, ...labels } } },
        options,
      );
      const ready = {
        type: "Ready",
        status: "True",
        reason: "KubeletReady",
        message: "kubelet is posting ready status",
        lastTransitionTime: this.api.now(),
      };
      this.store.put("nodes", {
        ...object,
        status: { allocatable: allocatable ?? {}, capacity: allocatable ?? {}, conditions: [ready] },
      });
    }
  }

  /** An object, for looking at. @throws {ApiError} when it is not there */
  object(resource: string, namespace: string, name: string): ReturnType<Api["get"]> {
    const found = this.store.get(resource, { namespace, name });
    if (found === undefined) throw notFound(this.api.resources.byKey(resource), name);
    return found;
  }
}

function clusterIps(): () => string {
  let last = 0;
  return () => {
    last += 1;
    return `10.${96 + (last >> 16)}.${(last >> 8) & 255}.${last & 255}`;
  };
}
