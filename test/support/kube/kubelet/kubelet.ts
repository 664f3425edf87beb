import type { ServerResponse } from "node:http";
import type { Api } from "../api.ts";
import type { Controller } from "../controllers/controller.ts";
import { ApiError, badRequest } from "../status.ts";
import type { StoreEvent } from "../store.ts";
import type { KubeObject } from "../types.ts";
import type { Pod } from "../workloads.ts";
import { parseLogQuery } from "./log-query.ts";
import { PodWorker } from "./pod-worker.ts";
import type { Runtime } from "./runtime.ts";
import type { Timing } from "./timing.ts";

export interface KubeletOptions {
  readonly runtime: Runtime;
  readonly timing: Timing;
  readonly hostIp: string;
}

/** Runs the pods of all nodes. */
export class Kubelet implements Controller {
  readonly name = "kubelet";
  readonly #api: Api;
  readonly #options: KubeletOptions;
  readonly #workers = new Map<string, PodWorker>();
  readonly #leaving = new Set<Promise<void>>();
  #closed = false;

  constructor(api: Api, options: KubeletOptions) {
    this.#api = api;
    this.#options = options;
    options.runtime.onImage(() => this.retry());
  }

  handle({ resource, object, type }: StoreEvent): void {
    if (this.#closed) return;
    if (resource === "secrets" || resource === "configmaps") this.retry();
    if (resource !== "pods") return;
    const pod = object as Pod;
    const { uid } = pod.metadata;
    const worker = this.#workers.get(uid);
    if (type === "DELETED") {
      this.#workers.delete(uid);
      if (worker !== undefined) this.#track(worker.close());
    } else if (worker !== undefined) worker.notice(pod);
    else if (pod.spec.nodeName !== undefined) {
      this.#workers.set(uid, new PodWorker({ api: this.#api, ...this.#options }, pod));
      if (pod.metadata.deletionTimestamp !== undefined) this.#workers.get(uid)?.notice(pod);
    }
  }

  /** Pods that wait for an image or a volume look again. */
  retry(): void {
    for (const worker of this.#workers.values()) worker.retry();
  }

  /** Answers `GET …/pods/x/log`. @throws {ApiError} */
  readLog(pod: KubeObject, query: URLSearchParams, res: ServerResponse): void {
    const { name, uid } = pod.metadata;
    const containers = (pod as Pod).spec.containers.map((container) => container.name);
    const container = query.get("container") ?? (containers[0] as string);
    if (!containers.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
    const previous = query.get("previous") === "true";
    const worker = this.#workers.get(uid);
    const log = worker?.log(previous);
    const parsed = parseLogQuery(query, Date.now());
    if (log === undefined) {
      const why = previous
        ? `previous terminated container "${container}" in pod "${name}" not found`
        : `container "${container}" in pod "${name}" is waiting to start: ${worker?.waitingReason ?? "ContainerCreating"}`;
      throw new ApiError(400, "BadRequest", why);
    }
    res.writeHead(200, { "content-type": "text/plain" });
    if (parsed.follow) res.flushHeaders();
    const stop = log.read(
      parsed,
      (text) => res.write(text),
      () => res.end(),
    );
    res.once("close", stop);
  }

  close(): void {
    this.#closed = true;
    for (const worker of this.#workers.values()) this.#track(worker.close());
    this.#workers.clear();
  }

  /** Resolves when all containers have ended. */
  async drained(): Promise<void> {
    await Promise.all(this.#leaving);
    await this.#options.runtime.close();
  }

  #track(leaving: Promise<void>): void {
    const tracked = leaving.finally(() => this.#leaving.delete(tracked));
    this.#leaving.add(tracked);
  }
}
