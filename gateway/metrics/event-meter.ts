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

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Names in requests come from strangers; of more than so many nothing is counted apart. */
const MAX_TALLIES = 5_000;
const OTHERS = "others";

/** Counts what this process takes and delivers of events. */
export class EventMeter {
  readonly #brokers = new Map<string, BrokerTally>();
  readonly #triggers = new Map<string, TriggerTally>();

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
