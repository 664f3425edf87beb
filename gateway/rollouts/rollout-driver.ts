import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { ListedRollout } from "../../contract/versions/requests.ts";
import { candidateShare } from "../../contract/versions/rollout-shares.ts";
import { isUnderWay, type RolloutState } from "../../contract/versions/rollout-state.ts";
import { formatPercent } from "../../contract/versions/traffic.ts";
import type { Logger } from "../../kit/log.ts";
import { announcedReplicas, type KnownFunction } from "../core/known-function.ts";
import { advance, holdForHook, type RolloutMove, type RolloutSight, replicasToWarm } from "../core/rollout/advance.ts";
import type { QueryResult } from "../core/rollout/evaluate-gates.ts";
import { AskedAnswers } from "./asked-answers.ts";
import type { HookAnswer, HookQuestion } from "./hooks.ts";
import { RolloutClock } from "./rollout-clock.ts";
import type { FunctionInRollout, RolloutsUnderWay } from "./rollouts-under-way.ts";

export interface RolloutDriverOptions {
  readonly underWay: Pick<RolloutsUnderWay, "list" | "numbers" | "versionOf">;
  readonly store: {
    read(ref: FunctionRef): Promise<ListedRollout>;
    write(ref: FunctionRef, listed: ListedRollout): Promise<void>;
  };
  /** Whether this gateway leads, and what it knows is current. */
  readonly acts: () => boolean;
  /** Has a version get at least so many replicas. */
  readonly raise: (ref: FunctionRef, replicas: number) => Promise<void>;
  readonly ask: (hook: string, question: HookQuestion, signal: AbortSignal) => Promise<HookAnswer>;
  /** Asks Prometheus. */
  readonly query: (expression: string) => Promise<number>;
  readonly log: Pick<Logger, "debug" | "info" | "warn">;
  /** Milliseconds since 1970. */
  readonly wall?: () => number;
  /** Milliseconds that only go forward. */
  readonly steady?: () => number;
}

/** Between two looks at each rollout. */
const LOOK_EVERY_MS = 500;
/** After a no the hook is asked again so often, and so often Prometheus. */
const ASK_AGAIN_MS = 5_000;
/** Replicas that were asked for and are not wanted yet, or not any more, are asked for again. */
const RAISE_AGAIN_MS = 5_000;

/** What is known of one rollout beside its state. */
interface Watched {
  readonly clock: RolloutClock;
  readonly hook: AskedAnswers<HookAnswer>;
  readonly query: AskedAnswers<QueryResult>;
  raisedAt: number;
  /** Whether a look is under way. */
  busy: boolean;
  /** Whether the last look failed, which is told once. */
  failing: boolean;
}

/** Moves rollouts on, on the gateway that leads. All that it has to remember is in their states, which the provider keeps. */
export class RolloutDriver {
  readonly #options: RolloutDriverOptions;
  readonly #wall: () => number;
  readonly #steady: () => number;
  readonly #watched = new Map<string, Watched>();
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** Evaluations by verdict, and rollouts that this gateway has brought to an end, by their last phase. */
  readonly verdicts = new Map<string, number>();
  readonly ends = new Map<string, number>();

  constructor(options: RolloutDriverOptions) {
    this.#options = options;
    this.#wall = options.wall ?? Date.now;
    this.#steady = options.steady ?? (() => performance.now());
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }

  /** Looks at all rollouts once. Called by its own timer once started. */
  async look(): Promise<void> {
    const rollouts = this.#options.underWay.list();
    const names = new Set(rollouts.map(({ name }) => name));
    for (const name of this.#watched.keys()) if (!names.has(name)) this.#watched.delete(name);
    // What others do is watched as well, so that the times are known when it is this gateway's turn.
    await Promise.all(rollouts.map((each) => this.#lookAt(each)));
  }

  async #lookAt(seen: FunctionInRollout): Promise<void> {
    const watched = this.#watch(seen.name);
    if (watched.busy) return;
    const times = watched.clock.read(seen.rollout);
    if (!this.#options.acts()) return;
    watched.busy = true;
    try {
      this.#warm(seen, watched);
      // The stream may be a moment behind; so the provider is asked before anything is written.
      if (advance(seen.rollout, this.#sightOf(seen, seen.rollout, watched), times)) await this.#move(seen, watched);
      watched.failing = false;
    } catch (err) {
      this.#tell(seen, watched, err);
    } finally {
      watched.busy = false;
    }
  }

  #watch(name: string): Watched {
    let watched = this.#watched.get(name);
    if (!watched) {
      const clock = new RolloutClock(this.#wall, this.#steady);
      const raisedAt = Number.NEGATIVE_INFINITY;
      const hook = new AskedAnswers<HookAnswer>((why, ageMs) => why !== undefined && ageMs >= ASK_AGAIN_MS);
      const query = new AskedAnswers<QueryResult>((_result, ageMs) => ageMs >= ASK_AGAIN_MS);
      watched = { clock, hook, query, raisedAt, busy: false, failing: false };
      this.#watched.set(name, watched);
    }
    return watched;
  }

  #sightOf({ ref, name }: FunctionInRollout, rollout: RolloutState, watched: Watched): RolloutSight {
    const { underWay } = this.#options;
    const candidate = underWay.versionOf(ref, rollout.to);
    return {
      candidate: { ready: readyOf(candidate, rollout.to), problem: candidate?.problem },
      stable: { ready: readyOf(underWay.versionOf(ref, rollout.from), rollout.from) },
      counts: underWay.numbers(name, rollout),
      query: this.#askedOf(ref, rollout, watched),
    };
  }

  #askedOf({ name, namespace }: FunctionRef, rollout: RolloutState, watched: Watched): QueryResult | undefined {
    const { query } = rollout.settings;
    if (!query || rollout.phase === "warming") return undefined;
    const names: Record<string, string> = { function: name, namespace, version: rollout.to };
    const expression = query.expression.replace(
      /\$(function|namespace|version)\b/g,
      (_all, key) => names[key] as string,
    );
    const ask = async (): Promise<QueryResult> => {
      try {
        return { value: await this.#options.query(expression) };
      } catch (error) {
        return { problem: (error as Error).message };
      }
    };
    // What was said of the step before is no word of this one.
    return watched.query.read(`${rollout.id}/${rollout.step}`, this.#steady(), ask)?.is;
  }

  /** Nobody calls a version that has no share yet, so nothing else would start it. */
  #warm({ ref, rollout }: FunctionInRollout, watched: Watched): void {
    if (rollout.phase !== "warming") return;
    const { underWay, raise, log } = this.#options;
    const candidate = underWay.versionOf(ref, rollout.to);
    const wanted = replicasToWarm(rollout, readyOf(underWay.versionOf(ref, rollout.from), rollout.from));
    const now = this.#steady();
    if (!candidate || candidate.replicas >= wanted || now - watched.raisedAt < RAISE_AGAIN_MS) return;
    watched.raisedAt = now;
    raise({ name: candidate.name, namespace: ref.namespace }, wanted).catch((err: unknown) => {
      log.warn({ function: ref.name, namespace: ref.namespace, version: rollout.to, err }, "could not warm a version");
    });
  }

  async #move(seen: FunctionInRollout, watched: Watched): Promise<void> {
    const { store, acts } = this.#options;
    const { generation, rollout, problem } = await store.read(seen.ref);
    if (!rollout || !isUnderWay(rollout)) return;
    const times = watched.clock.read(rollout);
    const sight = this.#sightOf(seen, rollout, watched);
    // The stream says what anybody may know; the history of the function is for those who run it.
    const told = sight.candidate.problem === undefined ? undefined : (problem ?? sight.candidate.problem);
    const move = advance(rollout, { ...sight, candidate: { ...sight.candidate, problem: told } }, times);
    const next = move && this.#unlessHeld(seen, rollout, move, watched);
    if (!next || !acts() || this.#closing.signal.aborted) return;
    try {
      await store.write(seen.ref, { generation, rollout: next });
    } catch (error) {
      // Somebody else was first: what is there now is looked at next time.
      if (error instanceof FaasError && error.kind === "conflict") return;
      throw error;
    }
    this.#note(seen.ref, rollout, next);
  }

  /** @returns what is to be written: `move`, or that the hook holds it; undefined while nothing is */
  #unlessHeld(
    { ref }: FunctionInRollout,
    rollout: RolloutState,
    { kind, next }: RolloutMove,
    { hook: answers, clock }: Watched,
  ): RolloutState | undefined {
    const { hook } = rollout.settings;
    if (hook === undefined || kind !== "entered") return next;
    const { phase, step } = next;
    const question = { function: ref.name, namespace: ref.namespace, version: rollout.to, phase, step };
    const key = `${rollout.startedAt}/${rollout.id}/${step}/${phase}`;
    const { ask } = this.#options;
    const answer = answers.read(key, this.#steady(), () => ask(hook, question, this.#closing.signal));
    if (!answer) return undefined;
    return answer.is === undefined ? next : holdForHook(rollout, answer.is, clock.read(rollout));
  }

  #note({ name, namespace }: FunctionRef, before: RolloutState, next: RolloutState): void {
    const measured = next.measurements.at(-1);
    if (measured && measured.at !== before.measurements.at(-1)?.at) count(this.verdicts, measured.verdict);
    if (next.phase === before.phase && next.step === before.step) return;
    if (!isUnderWay(next)) count(this.ends, next.phase);
    const { id, from, to, phase, step, reason } = next;
    const share = `${formatPercent(candidateShare(next))}%`;
    this.#options.log.info({ function: name, namespace, rollout: id, from, to, phase, step, share, reason }, "rollout");
  }

  #tell({ ref }: FunctionInRollout, watched: Watched, err: unknown): void {
    const { log } = this.#options;
    const facts = { function: ref.name, namespace: ref.namespace, err };
    if (watched.failing) log.debug(facts, "could not move a rollout on");
    else log.warn(facts, "could not move a rollout on; trying again");
    watched.failing = true;
  }
}

/** Replicas of a version that serve; those of another are there during an update. */
function readyOf(known: KnownFunction | undefined, version: string): number {
  if (!known) return 0;
  if (known.way) return announcedReplicas(known);
  const own = known.version ?? version;
  return known.endpoints.filter((each) => each.state === "ready" && (each.version ?? own) === version).length;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
