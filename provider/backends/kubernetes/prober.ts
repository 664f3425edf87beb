import type { V1Pod } from "@kubernetes/client-node";
import { request } from "../../kit/http.ts";
import { FUNCTION_PORT, HEALTH_PATH, READY_PATH } from "./resources/names.ts";

/** One run of a pod's container that is worth asking whether it answers. */
export interface ProbeTarget {
  /** Different for every pod, and every start of its container. */
  readonly run: string;
  readonly ip: string;
  /** What its kubelet asks, as anything else may be a call of the function; undefined when that is no HTTP path. */
  readonly path: string | undefined;
}

/**
 * Undefined while there is nobody to ask, and once the kubelet has seen for itself.
 * @param announced the address that the pod has told of itself; counts until the API shows one
 */
export function probeTarget({ metadata, spec, status }: V1Pod, announced?: string): ProbeTarget | undefined {
  const { podIP = announced, phase, conditions = [], containerStatuses = [] } = status ?? {};
  if (!podIP || !metadata?.uid || metadata.deletionTimestamp || phase === "Failed" || phase === "Succeeded") return;
  if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
  const restarts = containerStatuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  const isDown = containerStatuses.some(
    ({ state, lastState }) => state?.terminated || (state?.waiting && lastState?.terminated),
  );
  // The objects of bookmarks have no containers at all.
  const path = spec?.containers?.[0]?.readinessProbe?.httpGet?.path;
  return isDown ? undefined : { run: `${metadata.uid}/${restarts}`, ip: podIP, path };
}

/** Who announces itself has a watchdog that knows better than by its health whether it takes calls. */
export function announcedTarget(target: ProbeTarget): ProbeTarget {
  const isOwn = target.path !== undefined && target.path !== HEALTH_PATH;
  return isOwn ? target : { ...target, path: READY_PATH };
}

/** Questions a millisecond at most, however many pods there are to ask. */
const ASKED_PER_MS = 2;

/**
 * Milliseconds until the next question, by how long a pod has been asked already: closely at first, as most are quick.
 * @param pods how many are being asked
 */
export function decideInterval(askedMs: number, pods: number): number {
  const interval = askedMs < 3_000 ? 25 : askedMs < 15_000 ? 100 : 1_000;
  return Math.max(interval, pods / ASKED_PER_MS);
}

/** A watchdog that listens answers at once; a kernel without a listener refuses at once. */
const ANSWER_TIMEOUT_MS = 1_000;

/** With it a watchdog says along with its health where it tells whether the function takes calls. */
const READY_HEADER = "x-faaslane-ready-path";

/** Asks once. "elsewhere": its watchdog is up, and {@link READY_PATH} tells more. */
export function askPod(ip: string, path: string, signal: AbortSignal): Promise<"yes" | "no" | "elsewhere"> {
  return new Promise((resolve) => {
    const req = request(
      { host: ip, port: FUNCTION_PORT, path, agent: false, timeout: ANSWER_TIMEOUT_MS, signal },
      (res) => {
        const { statusCode = 0, headers } = res;
        res.on("error", () => resolve("no")).resume();
        // As kubelets judge.
        if (statusCode < 200 || statusCode >= 400) resolve("no");
        else resolve(path !== READY_PATH && headers[READY_HEADER] === READY_PATH ? "elsewhere" : "yes");
      },
    );
    // Refused, unreachable, silent: all the same, it does not answer yet.
    req.on("timeout", () => req.destroy()).on("error", () => resolve("no"));
    req.on("close", () => resolve("no")).end();
  });
}

/** Asks pods that are not Ready yet until they answer, so that calls need not wait for the kubelet to notice. */
export class Prober {
  readonly #running = new Map<string, { readonly target: ProbeTarget; readonly stop: AbortController }>();
  readonly #onAnswer: (key: string, ip: string) => void;
  #closed = false;

  /** @param onAnswer gets the key that was given to `watch`, and the address that answered */
  constructor(onAnswer: (key: string, ip: string) => void) {
    this.#onAnswer = onAnswer;
  }

  /** Begins, goes on or stops to ask, whatever the pod's state calls for. */
  watch(key: string, target: ProbeTarget | undefined): void {
    const current = this.#running.get(key);
    if (current && current.target.run === target?.run && current.target.ip === target.ip) return;
    current?.stop.abort();
    this.#running.delete(key);
    if (target?.path === undefined || this.#closed) return;
    const stop = new AbortController();
    this.#running.set(key, { target, stop });
    this.#ask(key, { ip: target.ip, path: target.path }, stop.signal, Date.now());
  }

  /** There is reason to believe that it answers now. */
  hurry(key: string, target: ProbeTarget): void {
    this.watch(key, undefined);
    this.watch(key, target);
  }

  close(): void {
    this.#closed = true;
    for (const { stop } of this.#running.values()) stop.abort();
    this.#running.clear();
  }

  #ask(key: string, where: { readonly ip: string; readonly path: string }, signal: AbortSignal, begunAt: number): void {
    const askedAt = Date.now();
    void askPod(where.ip, where.path, signal).then((answer) => {
      if (signal.aborted) return;
      if (answer === "yes") return this.#onAnswer(key, where.ip);
      if (answer === "elsewhere") return this.#ask(key, { ...where, path: READY_PATH }, signal, begunAt);
      const wait = Math.max(0, askedAt + decideInterval(askedAt - begunAt, this.#running.size) - Date.now());
      setTimeout(() => !signal.aborted && this.#ask(key, where, signal, begunAt), wait).unref();
    });
  }
}
