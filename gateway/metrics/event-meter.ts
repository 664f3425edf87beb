import { Tally } from "../../kit/histogram.ts";

const INGRESS = ["accepted", "duplicate", "refused"] as const;
type Ingress = (typeof INGRESS)[number];
const OUTCOMES = ["delivered", "retried", "dead", "back"] as const;
type Outcome = (typeof OUTCOMES)[number];

/** One try to deliver an event, as it ended. */
interface SeenDelivery {
  readonly trigger: string;
  readonly outcome: Outcome;
  readonly durationMs: number;
}

const RUN_ENDS = ["succeeded", "failed", "cancelled", "timed-out"] as const;
type RunEnd = (typeof RUN_ENDS)[number];

/** A run of a flow that has begun, or ended. */
interface SeenRun {
  readonly namespace: string;
  readonly flow: string;
  readonly ended?: { readonly state: RunEnd; readonly durationMs: number };
}

export interface FlowTally {
  readonly namespace: string;
  readonly flow: string;
  started: number;
  readonly ended: Record<RunEnd, number>;
  /** In seconds. */
  readonly time: Tally;
}

interface SeenBroker {
  readonly namespace: string;
  readonly name: string;
}

export interface BrokerTally {
  readonly namespace: string;
  readonly broker: string;
  readonly events: Record<Ingress, number>;
}

export interface TriggerTally {
  readonly trigger: string;
  readonly tries: Record<Outcome, number>;
  /** In seconds. */
  readonly time: Tally;
}

/** From a second to a day. */
const RUN_SECONDS = [0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 28_800, 86_400];
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Names in requests come from strangers; of more than so many nothing is counted apart. */
const MAX_TALLIES = 5_000;
const OTHERS = "others";

/** Counts what this process takes and delivers of events. */
export class EventMeter {
  readonly #brokers = new Map<string, BrokerTally>();
  readonly #triggers = new Map<string, TriggerTally>();
  readonly #flows = new Map<string, FlowTally>();

  readonly received = ({ namespace, name }: SeenBroker, outcome: Ingress, events: number): void => {
    const tally = entryOf(this.#brokers, `${namespace}/${name}`, (key) => {
      const [of = OTHERS, broker = OTHERS] = key.split("/");
      return { namespace: of, broker, events: zeros(INGRESS) };
    });
    tally.events[outcome] += events;
  };

  readonly delivered = ({ trigger, outcome, durationMs }: SeenDelivery): void => {
    const tally = entryOf(this.#triggers, trigger, (key) => ({
      trigger: key,
      tries: zeros(OUTCOMES),
      time: new Tally(SECONDS),
    }));
    tally.tries[outcome]++;
    // Those that are handed back were not tried.
    if (outcome !== "back") tally.time.observe(durationMs / 1000);
  };

  readonly ran = ({ namespace: of, flow: name, ended }: SeenRun): void => {
    const tally = entryOf(this.#flows, `${of}/${name}`, (key) => {
      const [namespace = OTHERS, flow = OTHERS] = key.split("/");
      return { namespace, flow, started: 0, ended: zeros(RUN_ENDS), time: new Tally(RUN_SECONDS) };
    });
    if (!ended) tally.started++;
    else {
      tally.ended[ended.state]++;
      tally.time.observe(ended.durationMs / 1000);
    }
  };

  flows(): Iterable<FlowTally> {
    return this.#flows.values();
  }

  brokers(): Iterable<BrokerTally> {
    return this.#brokers.values();
  }

  triggers(): Iterable<TriggerTally> {
    return this.#triggers.values();
  }
}

function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}

function entryOf<T>(tallies: Map<string, T>, key: string, make: (key: string) => T): T {
  const known = tallies.get(key);
  if (known) return known;
  const kept = tallies.size < MAX_TALLIES ? key : OTHERS;
  const tally = tallies.get(kept) ?? make(kept);
  tallies.set(kept, tally);
  return tally;
}
