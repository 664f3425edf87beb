import { WHOLE } from "../../contract/versions/traffic.ts";
import { type AnswerDigest, compareAnswers } from "../core/traffic/compare-answers.ts";
import { CopiedExchange, type CopiedRequest, CopyExchange } from "./copied-exchange.ts";
import type { Exchange } from "./exchange.ts";
import { FunctionMeter } from "./function-meter.ts";
import { MirrorTally } from "./mirror-tally.ts";

/** Of all functions, in this thread; others are dropped. */
const MAX_UNDER_WAY = 64;
/** Most calls are over by then, and their callers notice nothing of what a copy takes of the machine. */
const OWN_FIRST_MS = 50;
/** From the end of a call to its copy: the caller reads the answer meanwhile, on a machine that has nothing else to do. */
const REST_MS = 2;

/** A version that may get copies of calls. */
export interface MirroredEntry {
  readonly meter: FunctionMeter;
  readonly readyReplicas: number;
  readonly held: { readonly count: number };
}

/** Which calls of a function are copied, and to which version. */
export interface MirrorPlan<E extends MirroredEntry> {
  readonly entry: E;
  /** In hundredths of a percent. */
  readonly share: number;
  readonly methods: ReadonlySet<string>;
}

/** A call that may be copied. */
export interface WatchedCall<E> {
  /** Which gets the call itself. */
  readonly chosen: E;
  readonly exchange: Exchange;
  /** Makes the copy's call. */
  readonly start: (entry: E, copy: Exchange) => void;
  /** At least 0 and less than 1. */
  readonly random: number;
}

/** Copies calls. The calls themselves go on as if it were not there. */
export class Mirrors<E extends MirroredEntry> {
  /** Counts copies apart from the calls of their version. */
  readonly #meters = new WeakMap<E, FunctionMeter>();
  #underWay = 0;

  /** @returns the exchange to go on with: the same for calls that are not copied */
  watch(plan: MirrorPlan<E>, { chosen, exchange, start, random }: WatchedCall<E>): Exchange {
    const { entry, share, methods } = plan;
    if (random * WHOLE >= share || chosen === entry || exchange.caller === undefined) return exchange;
    if (!methods.has(exchange.method) || exchange.protocols !== undefined) return exchange;
    const pair = new Pair((own, copy) => record(entry, own, copy));
    return new CopiedExchange(exchange, {
      sent: (request) => this.#copy(entry, exchange.method, request, pair, start),
      ended: (digest) => pair.own(digest),
    });
  }

  #copy(entry: E, method: string, { headers, body }: CopiedRequest, pair: Pair, start: WatchedCall<E>["start"]): void {
    // While calls wait for the version, none of them is to wait longer for a copy.
    const isBusy = entry.readyReplicas > 0 && entry.held.count > 0;
    if (this.#underWay >= MAX_UNDER_WAY || isBusy) {
      tallyOf(entry).count("dropped");
      return;
    }
    this.#underWay++;
    const ended = (digest: AnswerDigest | undefined) => {
      this.#underWay--;
      pair.copy(digest && (() => digest));
    };
    const exchange = new CopyExchange({ method, headers: [...headers], body, meter: this.#meterOf(entry), ended });
    pair.whenOwnEnds(OWN_FIRST_MS, () => start(entry, exchange));
  }

  #meterOf(entry: E): FunctionMeter {
    let meter = this.#meters.get(entry);
    if (!meter) {
      meter = new FunctionMeter();
      this.#meters.set(entry, meter);
    }
    // A rollout may be judged by nothing but copies.
    meter.trial = entry.meter.trial;
    return meter;
  }
}

interface Ended {
  readonly digest: (() => AnswerDigest) | undefined;
  readonly seconds: number;
}

/** A call and its copy, until both have ended. */
class Pair {
  readonly #both: (own: Ended, copy: Ended) => void;
  readonly #sentAt = performance.now();
  #copiedAt = this.#sentAt;
  #own: Ended | undefined;
  #copy: Ended | undefined;
  #send: (() => void) | undefined;

  constructor(both: (own: Ended, copy: Ended) => void) {
    this.#both = both;
  }

  /** Sends the copy once the call itself has ended, or has taken `ms` milliseconds. */
  whenOwnEnds(ms: number, send: () => void): void {
    const timer = setTimeout(() => this.#send?.(), ms);
    this.#send = () => {
      clearTimeout(timer);
      this.#send = undefined;
      setTimeout(() => {
        this.#copiedAt = performance.now();
        send();
      }, REST_MS);
    };
    if (this.#own) this.#send();
  }

  own(digest: Ended["digest"]): void {
    this.#own ??= { digest, seconds: (performance.now() - this.#sentAt) / 1000 };
    this.#send?.();
    this.#compare();
  }

  copy(digest: Ended["digest"]): void {
    this.#copy ??= { digest, seconds: (performance.now() - this.#copiedAt) / 1000 };
    this.#compare();
  }

  #compare(): void {
    if (this.#own && this.#copy) this.#both(this.#own, this.#copy);
  }
}

function record(entry: MirroredEntry, own: Ended, copy: Ended): void {
  const tally = tallyOf(entry);
  tally.count(compareAnswers(own.digest?.(), copy.digest?.()));
  if (own.digest) tally.own.observe(own.seconds);
  if (copy.digest) tally.copies.observe(copy.seconds);
}

function tallyOf({ meter }: MirroredEntry): MirrorTally {
  meter.mirror ??= new MirrorTally();
  return meter.mirror;
}
