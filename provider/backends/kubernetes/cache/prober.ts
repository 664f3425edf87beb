import { request } from "../../../../kit/http.ts";
import { FUNCTION_PORT, HEALTH_PATH, READY_PATH } from "../resources/names.ts";
import type { ProbeTarget } from "../resources/probe-target.ts";

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

/** With it a watchdog says along with its health where it tells whether the function takes calls. */
const READY_HEADER = "x-faaslane-ready-path";

/**
 * What a pod answers. "elsewhere": its watchdog is up, and {@link READY_PATH} tells more. "alive": its watchdog is up,
 * and may be so long before the function is, as there is nothing else that it could be asked.
 */
type PodAnswer = "yes" | "no" | "elsewhere" | "alive";

interface Question {
  readonly ip: string;
  readonly path: string;
  readonly timeoutMs: number;
}

/** Asks once. A watchdog that listens answers at once; a kernel without a listener refuses at once. */
export function askPod({ ip, path, timeoutMs }: Question, signal: AbortSignal): Promise<PodAnswer> {
  return new Promise((resolve) => {
    const req = request({ host: ip, port: FUNCTION_PORT, path, agent: false, timeout: timeoutMs, signal }, (res) => {
      const { statusCode = 0, headers } = res;
      res.on("error", () => resolve("no")).resume();
      // As kubelets judge.
      if (statusCode < 200 || statusCode >= 400) resolve("no");
      else if (path !== READY_PATH && headers[READY_HEADER] === READY_PATH) resolve("elsewhere");
      else resolve(path === HEALTH_PATH ? "alive" : "yes");
    });
    // Refused, unreachable, silent: all the same, it does not answer yet.
    req.on("timeout", () => req.destroy()).on("error", () => resolve("no"));
    req.on("close", () => resolve("no")).end();
  });
}

/** How far the questions to one pod have come. */
interface Asking {
  readonly key: string;
  readonly target: ProbeTarget;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly begunAt: number;
  /** Answers in a row. */
  readonly successes: number;
}

/** Asks pods that are not Ready yet until they answer, so that calls need not wait for the kubelet to notice. */
export class ReadinessProber {
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
    // Nobody knows since when it runs.
    if (target.delayMs > 0 && !target.running) return;
    const stop = new AbortController();
    this.#running.set(key, { target, stop });
    const { path, delayMs } = target;
    const begunAt = performance.now() + delayMs;
    this.#askLater({ key, target, path, signal: stop.signal, begunAt, successes: 0 }, delayMs);
  }

  /** There is reason to believe that it answers now. */
  expedite(key: string, target: ProbeTarget): void {
    this.watch(key, undefined);
    this.watch(key, target);
  }

  close(): void {
    this.#closed = true;
    for (const { stop } of this.#running.values()) stop.abort();
    this.#running.clear();
  }

  #askLater(asking: Asking, waitMs: number): void {
    if (waitMs <= 0) this.#ask(asking);
    else setTimeout(() => !asking.signal.aborted && this.#ask(asking), waitMs).unref();
  }

  #ask(asking: Asking): void {
    const { key, target, path, signal, begunAt } = asking;
    const askedAt = performance.now();
    void askPod({ ip: target.ip, path, timeoutMs: target.timeoutMs }, signal).then((answer) => {
      if (signal.aborted) return;
      // Its kubelet decides: we could only ask for health, which says nothing about the function.
      if (answer === "alive") return;
      if (answer === "elsewhere") return this.#ask({ ...asking, path: READY_PATH });
      const successes = answer === "yes" ? asking.successes + 1 : 0;
      if (successes >= target.successes) return this.#onAnswer(key, target.ip);
      const interval = successes > 0 ? target.periodMs : decideInterval(askedAt - begunAt, this.#running.size);
      this.#askLater({ ...asking, successes }, Math.max(0, askedAt + interval - performance.now()));
    });
  }
}
