import type { V1Pod } from "@kubernetes/client-node";
import { request } from "../../kit/http.ts";
import { FUNCTION_PORT } from "./resources/names.ts";

/** One run of a pod's container that is worth asking whether it answers. */
export interface ProbeTarget {
  /** Different for every pod, and every start of its container. */
  readonly run: string;
  readonly ip: string;
}

/**
 * Undefined while there is nobody to ask, and once the kubelet has seen for itself.
 * @param announced the address that the pod has told of itself; counts until the API shows one
 */
export function probeTarget({ metadata, status }: V1Pod, announced?: string): ProbeTarget | undefined {
  const { podIP = announced, phase, conditions = [], containerStatuses = [] } = status ?? {};
  if (!podIP || !metadata?.uid || metadata.deletionTimestamp || phase === "Failed" || phase === "Succeeded") return;
  if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
  const restarts = containerStatuses.reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  const isDown = containerStatuses.some(
    ({ state, lastState }) => state?.terminated || (state?.waiting && lastState?.terminated),
  );
  return isDown ? undefined : { run: `${metadata.uid}/${restarts}`, ip: podIP };
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

/** Asks once. */
export function isAnswering(ip: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const req = request(
      { host: ip, port: FUNCTION_PORT, path: "/_/ready", agent: false, timeout: ANSWER_TIMEOUT_MS, signal },
      (res) => {
        res.on("error", () => resolve(false)).resume();
        resolve(res.statusCode === 200);
      },
    );
    // Refused, unreachable, silent: all the same, it does not answer yet.
    req.on("timeout", () => req.destroy()).on("error", () => resolve(false));
    req.on("close", () => resolve(false)).end();
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
    if (!target || this.#closed) return;
    const stop = new AbortController();
    this.#running.set(key, { target, stop });
    this.#ask(key, target.ip, stop.signal, Date.now());
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

  #ask(key: string, ip: string, signal: AbortSignal, begunAt: number): void {
    const askedAt = Date.now();
    void isAnswering(ip, signal).then((answers) => {
      if (signal.aborted) return;
      if (answers) return this.#onAnswer(key, ip);
      const wait = Math.max(0, askedAt + decideInterval(askedAt - begunAt, this.#running.size) - Date.now());
      setTimeout(() => !signal.aborted && this.#ask(key, ip, signal, begunAt), wait).unref();
    });
  }
}
