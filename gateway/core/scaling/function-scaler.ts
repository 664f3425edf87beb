import type { ScalePolicy } from "../../../contract/scale-policy.ts";
import { type Decision, type ScaleInput, Steps } from "./decision.ts";
import { excessBurstCapacity, rateLimits, replicasFor } from "./desired-replicas.ts";
import { Gain } from "./gain.ts";
import { LoadWindow } from "./load-window.ts";
import { Panic } from "./panic.ts";
import { WindowExtreme } from "./window-extreme.ts";

/**
 * Decides for one function how many replicas it should have. Knows no clock and does nothing by itself: the same
 * records and inputs give the same decisions, which is how a history is replayed.
 */
export class FunctionScaler {
  #stable: LoadWindow;
  #burst: LoadWindow;
  readonly #panic = new Panic();
  readonly #gain = new Gain();
  #highest = new WindowExtreme("largest");
  #lowest = new WindowExtreme("least");
  #begun = false;
  #initialReached = false;

  constructor(policy: Pick<ScalePolicy, "windowMs" | "panicWindowMs">) {
    this.#stable = new LoadWindow(policy.windowMs);
    this.#burst = new LoadWindow(policy.panicWindowMs);
  }

  /** Adds the load of about the last second: its average for what is in flight, its number for what was started. */
  record(now: number, load: number): void {
    this.#stable.record(now, load);
    this.#burst.record(now, load);
  }

  /** Adds what about a second got through, see {@link Gain.record}. */
  recordThroughput(now: number, ready: number, finished: number, concurrency: number): void {
    this.#gain.record(now, ready, finished, concurrency);
  }

  /** Takes over a changed policy; the history of load begins anew when its windows changed. */
  #adapt(policy: ScalePolicy): void {
    if (this.#stable.windowMs !== policy.windowMs) this.#stable = new LoadWindow(policy.windowMs);
    if (this.#burst.windowMs !== policy.panicWindowMs) this.#burst = new LoadWindow(policy.panicWindowMs);
  }

  decide(input: ScaleInput): Decision {
    const { now, policy, replicas, ready } = input;
    this.#adapt(policy);
    if (!this.#begun) {
      this.#begun = true;
      const present = Math.max(ready, replicas);
      if (present > 1) this.#panic.beginWith(present, now);
      this.#initialReached = ready > 0;
    }
    const stableLoad = this.#stable.average(now);
    const panicLoad = this.#burst.average(now) ?? stableLoad;
    const loads = stableLoad === undefined || panicLoad === undefined ? undefined : { stableLoad, panicLoad };
    const steps = new Steps(replicas);
    if (replicas === 0) this.#wake(input, steps);
    else this.#scale(input, loads, steps);
    if (ready >= this.#initial(policy)) this.#initialReached = true;
    return { replicas: steps.replicas, reason: steps.reason, panic: this.#panic.on, ...loads, steps: steps.list };
  }

  #initial({ min, initial }: ScalePolicy): number {
    return Math.max(min, initial);
  }

  /** From zero: at once as many as the calls that wait need, or as a schedule or experience asks for. */
  #wake(input: ScaleInput, steps: Steps): void {
    const { now, policy, held, scheduled, prewarm } = input;
    this.#highest = new WindowExtreme("largest");
    this.#lowest = new WindowExtreme("least");
    const [least, most] = bounds(input);
    if (held > 0) {
      const needed = replicasFor(held, policy, policy.upProportion);
      const target = `${policy.target} × ${policy.upProportion}`;
      steps.apply("woken", Math.max(1, needed), `${held} calls wait: ⌈${held} / (${target})⌉ = ${needed}`);
      steps.clamp("activation", Math.max(steps.replicas, policy.activation), `it wakes with ${policy.activation}`);
      this.#clampToCores(input, steps);
      steps.clamp("min", Math.max(steps.replicas, least), `not below ${least}`);
      steps.clamp("max", Math.min(steps.replicas, most), `not above ${most}`);
      this.#highest.record(now, steps.replicas, policy.downDelayMs);
    } else if (scheduled) {
      steps.apply("schedule", Math.min(scheduled.min, most), `its schedule asks for ${scheduled.min} now`);
    } else if (prewarm) {
      steps.apply("prewarm", Math.min(least, most), "a call is likely: days before had one at this time");
    } else {
      steps.apply("asleep", 0, "it sleeps until it is called");
    }
  }

  #scale(input: ScaleInput, loads: Loads | undefined, steps: Steps): void {
    const { now, policy, replicas, unknownLoad, partialLoad } = input;
    const [least, most] = bounds(input);
    if (this.#shouldScaleToZero(input)) {
      const idle = Math.round((now - input.lastBusyAt) / 1000);
      steps.apply("idle", 0, `nothing to do for ${idle} s; it may sleep after ${policy.zeroDurationMs / 1000} s`);
      return;
    }
    if (least === most) {
      steps.apply("static", least, `min and max are both ${least}`);
      return;
    }
    if (unknownLoad !== undefined)
      steps.apply("load-unknown", replicas, `its load is not known: ${unknownLoad}; ${replicas} are kept`);
    else if (!loads) steps.apply("no-data", replicas, `no load was measured yet; ${replicas} are kept`);
    else this.#follow(input, loads, steps);
    if (handLeftMs(input) > 0) this.#keepHand(input, loads, steps);
    if (partialLoad !== undefined) {
      steps.clamp(
        "load-unknown",
        Math.max(steps.replicas, replicas),
        `nothing is taken away, there may be more load: ${partialLoad}`,
      );
    }

    if (!this.#initialReached) {
      const initial = Math.min(this.#initial(policy), most);
      steps.clamp("initial", Math.max(steps.replicas, initial), `it begins with ${initial}`);
    }
    const why = input.scheduled && least === input.scheduled.min ? "schedule" : "min";
    steps.clamp(why, Math.max(steps.replicas, least), `not below ${least}`);
    steps.clamp("max", Math.min(steps.replicas, most), `not above ${most}`);
  }

  #shouldScaleToZero(input: ScaleInput): boolean {
    const { now, policy, busy, lastBusyAt, unknownLoad, partialLoad, scheduled, prewarm } = input;
    if (input.byHand && handLeftMs(input) + policy.downDelayMs > 0) return false;
    if (!policy.zero || busy || (unknownLoad ?? partialLoad) !== undefined || scheduled || prewarm) return false;
    return now - lastBusyAt >= policy.zeroDurationMs;
  }

  /**
   * A number set by hand stands for a window, and counts as the number desired then. More load than that gets more, but what
   * was taken away by hand comes back only for load that would want more than there was.
   */
  #keepHand(input: ScaleInput, loads: Loads | undefined, steps: Steps): void {
    const { now, policy, byHand } = input;
    if (!byHand) return;
    const { replicas, before } = byHand;
    const desired =
      loads && replicasFor(Math.max(loads.stableLoad, loads.panicLoad) + policy.burst, policy, policy.upProportion);
    const isMore = desired !== undefined && desired > Math.max(replicas, before);
    if (!isMore) {
      const left = Math.ceil(handLeftMs(input) / 1000);
      steps.apply("by-hand", replicas, `scaled by hand to ${replicas}, which holds for ${left} s more`);
    }
    this.#highest.record(now, steps.replicas, policy.downDelayMs);
    this.#lowest.record(now, steps.replicas, policy.upDelayMs);
  }

  #follow(input: ScaleInput, { stableLoad, panicLoad }: Loads, steps: Steps): void {
    const { now, policy, replicas, ready } = input;
    const { target, upProportion, downProportion, burst } = policy;
    // Up as fast as a burst shows, down as slowly as the whole window forgets.
    const load = Math.max(stableLoad, panicLoad) + burst;
    const up = replicasFor(load, policy, upProportion);
    const down = Math.max(up, replicasFor(stableLoad + burst, policy, downProportion));
    const room = burst > 0 ? `, room for ${burst} more (now ${excessBurstCapacity(ready, panicLoad, policy)})` : "";
    const desired = Math.min(Math.max(replicas, up), down);
    steps.apply(
      "load",
      up,
      `⌈${show(load)} / (${target} × ${upProportion})⌉ = ${up}; average ${show(stableLoad)} over ${policy.windowMs / 1000} s, ${show(panicLoad)} over ${policy.panicWindowMs / 1000} s${room}`,
    );
    steps.clamp("hysteresis", desired, `${desired} until less than ${downProportion} of the target is used`);

    const [most, least] = rateLimits(ready, policy);
    steps.clamp("up-rate", Math.min(steps.replicas, most), `at most ${policy.upRate} × ${Math.max(1, ready)} ready`);
    steps.clamp(
      "down-rate",
      Math.max(steps.replicas, least),
      `at least ${Math.max(1, ready)} ready / ${policy.downRate}`,
    );

    const over = replicasFor(panicLoad, policy, upProportion) / Math.max(1, ready) >= policy.panicThreshold;
    this.#panic.update(over, steps.replicas, policy.windowMs, now);
    if (this.#panic.on) {
      steps.clamp("panic", this.#panic.most, `in a burst nothing is taken away: ${this.#panic.most}`);
    }
    this.#delay(now, policy, replicas, steps);
    this.#clampToCores(input, steps);
    if (input.checkGain) this.#clampToGain(input, desired, steps);
  }

  /** On one machine further replicas would only share what the others have. */
  #clampToCores({ cores }: ScaleInput, steps: Steps): void {
    if (cores === undefined) return;
    const text = `the machine has ${cores === 1 ? "1 core" : `${cores} cores`}; com.openfaas.scale.max allows more`;
    steps.clamp("cores", Math.min(steps.replicas, cores), text);
  }

  #clampToGain(input: ScaleInput, desired: number, steps: Steps): void {
    const [least, most] = bounds(input);
    const wanted = Math.min(desired, most, input.cores ?? most);
    const useful = this.#gain.judge(input.now, wanted, least);
    if (useful) steps.clamp("gain", Math.min(steps.replicas, useful.replicas), useful.text);
  }

  /** A desired number must have lasted before it is followed; a higher one not in a burst. */
  #delay(now: number, policy: ScalePolicy, replicas: number, steps: Steps): void {
    const desired = steps.replicas;
    const highest = this.#highest.record(now, desired, policy.downDelayMs) ?? Math.max(this.#highest.value, replicas);
    const lowest = this.#lowest.record(now, desired, policy.upDelayMs) ?? Math.min(this.#lowest.value, replicas);
    if (desired < replicas) {
      const held = Math.min(replicas, highest);
      steps.clamp("down-delay", held, `the largest number desired in the last ${policy.downDelayMs / 1000} s`);
    } else if (desired > replicas && !this.#panic.on) {
      const held = Math.max(replicas, lowest);
      steps.clamp("up-delay", held, `the least number desired in the last ${policy.upDelayMs / 1000} s`);
    }
  }
}

interface Loads {
  readonly stableLoad: number;
  readonly panicLoad: number;
}

/** How long a number set by hand stands; not above 0 when it does not. */
function handLeftMs({ now, policy, byHand }: ScaleInput): number {
  return byHand ? byHand.at + policy.windowMs - now : 0;
}

/** Least and most replicas while it is awake. */
function bounds({ policy, scheduled }: ScaleInput): [least: number, most: number] {
  const most = scheduled?.max ?? policy.max;
  return [Math.min(Math.max(policy.min, scheduled?.min ?? 0), most), most];
}

function show(value: number): string {
  return String(Math.round(value * 100) / 100);
}
