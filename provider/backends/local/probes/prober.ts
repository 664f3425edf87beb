import { Agent } from "../../../../kit/http.ts";
import { sleep } from "../../../../kit/sleep.ts";
import type { ProbeRule, ProbeRules } from "../../probe-annotations.ts";
import { ask } from "./ask.ts";
import { isGood, judge, NO_ANSWERS } from "./judge.ts";
import { isHung, readVitals, type Vitals } from "./vitals.ts";

/** A replica that listens. */
export interface ProbedReplica {
  /** `host:port`. */
  readonly address: string;
  readonly pid: number;
  readonly rules: ProbeRules;
  /** How long it may be at work without answering, in milliseconds. */
  readonly patienceMs: number;
}

export interface ProbeListener {
  /** Called whenever it begins or ceases to be ready, and when it does not become ready; `why` tells the latter. */
  onReadiness(ready: boolean, why: string): void;
  /** It has to be started again. */
  onDead(silentMs: number): void;
}

/** What every OpenFaaS watchdog answers without asking its function. */
const HEALTH_PATH = "/_/health";
/**
 * Questions a second for all replicas together: each wakes two processes, which costs some milliseconds of CPU. Where
 * there are more replicas, each is asked less often, unless somebody waits for its answers.
 */
const MAX_PER_SECOND = 5;
/** Connections that are kept between questions: each takes a descriptor, here and at the replica. */
const MAX_KEPT = 256;
/** Longer ones may find their connection closed by the other side. */
const MAX_KEPT_PERIOD_MS = 60_000;
/** Between two questions to a replica that starts and has a path of its own that says when it is ready. */
const EAGER_MS = 100;

/** When a question is asked, and who wants to know the answer. */
interface Round {
  readonly rule: ProbeRule;
  readonly firstMs: number;
  /**
   * `eager`: calls wait for the answer; `closely`: as often as the rule says, as something may be wrong; `seldom`: as
   * often as the number of replicas allows.
   */
  pace(): "eager" | "closely" | "seldom";
  onAnswer(status: number): void;
}

/** Whether a function says in its own way when it is ready; otherwise a replica is, once it listens. */
export function saysWhenReady({ readiness }: ProbeRules): boolean {
  return readiness.path !== undefined || readiness.initialDelaySeconds > 0 || readiness.successThreshold > 1;
}

/** A replica that is being asked. */
export interface Probing {
  /** Asks now: calls wait for its answers. */
  expedite(): void;
  stop(): void;
}

/** Asks replicas whether they live and whether they take calls, as a kubelet does. */
export class ReplicaProber {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 2 });
  readonly #asksAll: boolean;
  #watched = 0;

  /** @param asksAll whether functions that name no path are asked by that of their watchdogs */
  constructor(asksAll = true) {
    this.#asksAll = asksAll;
  }

  watch(replica: ProbedReplica, listener: ProbeListener): Probing {
    const stop = new AbortController();
    const rest = { current: new AbortController() };
    this.#watched += 1;
    const ready = readinessRound(replica, listener);
    const alive = livenessRound(replica, listener, stop.signal);
    for (const round of canShare(ready.rule, alive.rule) ? [shared(ready, alive)] : [ready, alive]) {
      if (this.#asksAll || round.rule.path !== undefined) void this.#ask(replica.address, round, stop.signal, rest);
    }
    return {
      expedite: () => rest.current.abort(),
      stop: () => {
        if (stop.signal.aborted) return;
        this.#watched -= 1;
        stop.abort();
        rest.current.abort();
      },
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** @param rest aborts a pause between two questions */
  async #ask(address: string, round: Round, signal: AbortSignal, rest: { current: AbortController }): Promise<void> {
    const { path = HEALTH_PATH, timeoutSeconds } = round.rule;
    await sleep(round.firstMs, signal);
    while (!signal.aborted) {
      const askedAt = performance.now();
      const periodMs = round.rule.periodSeconds * 1000;
      const seldomMs = Math.max(periodMs, (this.#watched / MAX_PER_SECOND) * 1000);
      const isKept = this.#watched <= MAX_KEPT && seldomMs <= MAX_KEPT_PERIOD_MS;
      const agent = isKept && this.#agent;
      const status = await ask({ address, path, timeoutMs: timeoutSeconds * 1000, agent }, signal);
      if (signal.aborted) return;
      if (status !== undefined) round.onAnswer(status);
      const waits = { eager: Math.min(EAGER_MS, periodMs), closely: periodMs, seldom: seldomMs };
      if (rest.current.signal.aborted) rest.current = new AbortController();
      await sleep(Math.max(0, askedAt + waits[round.pace()] - performance.now()), rest.current.signal);
    }
  }
}

function readinessRound({ rules }: ProbedReplica, { onReadiness }: ProbeListener): Round {
  const { readiness } = rules;
  const path = readiness.path ?? HEALTH_PATH;
  const waits = saysWhenReady(rules);
  let told = waits ? undefined : true;
  let wasReady = !waits;
  let streak = NO_ANSWERS;
  return {
    rule: readiness,
    // Those that became ready together are not to be asked together from then on.
    firstMs: waits ? readiness.initialDelaySeconds * 1000 : Math.random() * readiness.periodSeconds * 1000,
    pace: () => (streak.passed > 0 ? "seldom" : wasReady ? "closely" : "eager"),
    onAnswer: (status) => {
      const judged = judge(streak, isGood(status), readiness);
      streak = judged.streak;
      const ready = judged.verdict === "up";
      if (judged.verdict === undefined || ready === told) return;
      told = ready;
      wasReady ||= ready;
      onReadiness(ready, status === 0 ? `GET ${path} is not answered` : `GET ${path} is answered with ${status}`);
    },
  };
}

function livenessRound(
  { rules, pid, patienceMs }: ProbedReplica,
  { onDead }: ProbeListener,
  signal: AbortSignal,
): Round {
  const { liveness } = rules;
  // A watchdog that is well may refuse its health, to be left out; that is nothing to kill it for.
  const isAlive = liveness.path === undefined ? (status: number) => status !== 0 : isGood;
  let streak = NO_ANSWERS;
  let failedAt = 0;
  let before: Promise<Vitals | undefined> = Promise.resolve(undefined);
  let silent = false;
  const look = () => readVitals(pid).catch(() => undefined);
  const examine = async () => {
    const [earlier, now] = await Promise.all([before, look()]);
    const silentMs = performance.now() - failedAt;
    // A replica that answers, but badly, asks to be started again.
    const isOver = !silent || isHung(earlier, now, silentMs, patienceMs);
    if (isOver && streak.failed > 0 && !signal.aborted) onDead(silentMs);
  };
  return {
    rule: liveness,
    firstMs: liveness.initialDelaySeconds * 1000 + Math.random() * liveness.periodSeconds * 1000,
    pace: () => (streak.failed > 0 ? "closely" : "seldom"),
    onAnswer: (status) => {
      const judged = judge(streak, isAlive(status), liveness);
      streak = judged.streak;
      silent = status === 0;
      if (streak.failed === 1) {
        failedAt = performance.now();
        before = look();
      }
      if (judged.verdict === "down") void examine();
    },
  };
}

/** Whether one question answers both. */
function canShare(a: ProbeRule, b: ProbeRule): boolean {
  return a.path === b.path && a.periodSeconds === b.periodSeconds && a.timeoutSeconds === b.timeoutSeconds;
}

function shared(ready: Round, alive: Round): Round {
  const aliveFrom = performance.now() + alive.firstMs;
  return {
    ...ready,
    onAnswer: (status) => {
      ready.onAnswer(status);
      if (performance.now() >= aliveFrom) alive.onAnswer(status);
    },
  };
}
