import { EventEmitter, on } from "node:events";
import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  brokenRules,
  definitionProblems,
  type FunctionRef,
  type FunctionStatus,
  missingSecret,
  qualifiedName,
  quantityProblems,
} from "../../contract/functions.ts";
import type { LogMessage, LogQuery } from "../../contract/logs.ts";
import type { FunctionNamespace } from "../../contract/namespaces.ts";
import { type SecretName, secretInUse } from "../../contract/secrets.ts";
import type {
  Backend,
  Builder,
  CallsInFlight,
  ImageStore,
  ResolvedDeployment,
} from "../../provider/backends/backend.ts";

const secretKey = ({ name, namespace }: SecretName) => `${namespace}/${name}`;

/** A backend in memory that runs nothing: replicas are what the test says they are. */
export class FakeBackend implements Backend {
  readonly info = {
    provider: "fake",
    orchestration: "memory",
    version: { release: "1", sha: "abc" },
    features: ["endpoints"],
  };
  readonly deployed = new Map<string, FunctionStatus>();
  readonly secretValues = new Map<string, Buffer>();
  readonly known = new Map<string, FunctionNamespace>([["openfaas-fn", { name: "openfaas-fn" }]]);
  readonly snapshots = new Map<string, FunctionEndpoints>();
  /** What `logs` yields before it follows, and what it was asked for. */
  logLines: LogMessage[] = [];
  logQueries: LogQuery[] = [];
  /** Signals of streams handed out, so that a test sees them end. */
  readonly watchers: AbortSignal[] = [];
  readonly followers: AbortSignal[] = [];
  /** Makes the next call of any store fail with something nobody foresaw. */
  failure: Error | undefined;
  /** What the last order to scale knew of calls at replicas. */
  inFlight: CallsInFlight | undefined;
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly builder?: Builder;
  images?: ImageStore;

  constructor(builder?: Builder) {
    if (builder) this.builder = builder;
  }

  readonly functions = {
    list: async (namespace: string) => {
      this.#demandNamespace(namespace);
      return [...this.deployed.values()].filter((status) => status.namespace === namespace);
    },
    get: async (ref: FunctionRef, usage = false) => {
      const status = this.deployed.get(qualifiedName(ref));
      return status && usage ? { ...status, usage: { cpu: 5, totalMemoryBytes: 1024 } } : status;
    },
    create: async (deployment: ResolvedDeployment) => {
      this.#demandNamespace(deployment.namespace);
      this.#check(deployment);
      if (this.deployed.has(key(deployment))) {
        throw new FaasError("conflict", `function ${deployment.service} already exists`);
      }
      this.#put(deployment, 1);
    },
    update: async (deployment: ResolvedDeployment) => {
      this.#demandNamespace(deployment.namespace);
      if (definitionProblems(deployment).length > 0) this.#check(deployment);
      const before = this.deployed.get(key(deployment));
      if (!before) throw notFound({ name: deployment.service, namespace: deployment.namespace });
      this.#check(deployment);
      this.#put(deployment, before.replicas ?? 0);
    },
    remove: async (ref: FunctionRef) => {
      if (!this.deployed.delete(qualifiedName(ref))) throw notFound(ref);
    },
    scale: async (ref: FunctionRef, replicas: number, inFlight?: CallsInFlight) => {
      const status = this.deployed.get(qualifiedName(ref));
      if (!status) throw notFound(ref);
      this.deployed.set(qualifiedName(ref), { ...status, replicas });
      this.inFlight = inFlight;
    },
  };

  readonly secrets = {
    list: async (namespace: string) => {
      this.#demandNamespace(namespace);
      return [...this.secretValues.keys()]
        .map((path) => path.split("/") as [string, string])
        .filter(([owner]) => owner === namespace)
        .map(([owner, name]) => ({ name, namespace: owner }));
    },
    create: async (secret: SecretName, value: Buffer) => {
      this.#demandNamespace(secret.namespace);
      if (this.secretValues.has(secretKey(secret))) {
        throw new FaasError("conflict", `secret ${secret.name} already exists`);
      }
      this.secretValues.set(secretKey(secret), value);
    },
    update: async (secret: SecretName, value: Buffer) => {
      if (!this.secretValues.has(secretKey(secret))) throw new FaasError("notFound", `secret ${secret.name} not found`);
      this.secretValues.set(secretKey(secret), value);
    },
    remove: async (secret: SecretName, force = false) => {
      const users = [...this.deployed.values()].filter(({ secrets }) => secrets?.includes(secret.name));
      if (users.length > 0 && !force)
        throw secretInUse(
          secret,
          users.map(({ name }) => name),
        );
      if (!this.secretValues.delete(secretKey(secret))) {
        throw new FaasError("notFound", `secret ${secret.name} not found`);
      }
    },
  };

  readonly namespaces = {
    list: async () => [...this.known.keys()],
    get: async (name: string) => this.known.get(name),
    create: async (namespace: FunctionNamespace) => {
      if (this.known.has(namespace.name)) {
        throw new FaasError("conflict", `namespace ${namespace.name} already exists`);
      }
      this.known.set(namespace.name, namespace);
    },
    update: async (namespace: FunctionNamespace) => {
      if (!this.known.has(namespace.name)) throw new FaasError("notFound", `namespace ${namespace.name} not found`);
      this.known.set(namespace.name, namespace);
    },
    remove: async (name: string) => {
      if (!this.known.delete(name)) throw new FaasError("notFound", `namespace ${name} not found`);
    },
  };

  async *logs(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogMessage> {
    this.logQueries.push(query);
    this.followers.push(signal);
    yield* this.logLines;
    if (query.follow) {
      for await (const [line] of on(this.#events, "line", { signal })) yield line as LogMessage;
    }
  }

  /** A line for all who follow. */
  writeLine(line: LogMessage): void {
    this.#events.emit("line", line);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<EndpointsEvent> {
    this.watchers.push(signal);
    const changes = on(this.#events, "endpoints", { signal });
    for (const snapshot of this.snapshots.values()) yield { type: "snapshot", function: snapshot };
    yield { type: "heartbeat" };
    for await (const [event] of changes) yield event as EndpointsEvent;
  }

  /** Sets where a function can be called. */
  point(
    name: string,
    addresses: readonly string[],
    state: "ready" | "starting" | "draining" = "ready",
    more: Partial<FunctionEndpoints> = {},
  ): void {
    const snapshot: FunctionEndpoints = {
      name,
      namespace: "openfaas-fn",
      labels: {},
      annotations: {},
      replicas: addresses.length,
      generation: 1,
      endpoints: addresses.map((address, i) => ({ address, instance: `${name}-${i}`, state })),
      ...more,
    };
    this.snapshots.set(name, snapshot);
    this.#events.emit("endpoints", { type: "changed", function: snapshot } satisfies EndpointsEvent);
  }

  forget(name: string): void {
    const gone = this.snapshots.get(name) as FunctionEndpoints;
    this.snapshots.delete(name);
    this.#events.emit("endpoints", { type: "removed", function: gone } satisfies EndpointsEvent);
  }

  async close(): Promise<void> {}

  #demandNamespace(namespace: string): void {
    if (this.failure) throw this.failure;
    if (!this.known.has(namespace)) throw new FaasError("invalid", `namespace not found: ${namespace}`);
  }

  #check(deployment: ResolvedDeployment): void {
    const { namespace, secrets = [] } = deployment;
    const missing = secrets.filter((name) => !this.secretValues.has(secretKey({ name, namespace })));
    const problems = [
      ...definitionProblems(deployment),
      ...missing.map(missingSecret),
      ...quantityProblems(deployment),
    ];
    if (problems.length > 0) throw brokenRules(problems);
  }

  #put(deployment: ResolvedDeployment, replicas: number): void {
    const { service, ...rest } = deployment;
    this.deployed.set(key(deployment), {
      ...rest,
      name: service,
      labels: { ...deployment.labels, faas_function: service },
      annotations: { ...deployment.annotations, "prometheus.io.scrape": "false" },
      replicas,
      availableReplicas: replicas,
      createdAt: "2026-11-21T00:24:43Z",
    });
  }
}

const key = ({ service, namespace }: ResolvedDeployment) => qualifiedName({ name: service, namespace });

const notFound = (ref: FunctionRef) => new FaasError("notFound", `function ${qualifiedName(ref)} not found`);
