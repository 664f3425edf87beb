import type { EventFile } from "../db/event-file.ts";
import type { EventAnswers, EventAsk, EventAskKind } from "../protocol.ts";
import type { EventChanges } from "./changes.ts";
import type { EventReader } from "./reader.ts";
import type { EventRetention } from "./retention.ts";
import { LONGEST_MS, storableInteger } from "./storable-integer.ts";

/** Deliveries that one transaction drops. */
const DROPPED_AT_A_TIME = 500;
/** Data of the events that are given to the router at a time. */
const PENDING_BYTES = 4 * 1024 ** 2;

const CHANGES: ReadonlySet<EventAskKind> = new Set(["limit", "again", "drop", "put", "remove"]);

/** Whether it is to be asked in a transaction. */
export function isEventChange({ kind }: EventAsk): boolean {
  return CHANGES.has(kind);
}

export interface EventAsksContext {
  readonly file: EventFile;
  readonly changes: EventChanges;
  readonly reader: EventReader;
  readonly retention: EventRetention;
  /** All that a broker had to route has been given to the router. */
  readonly drained: (broker: number) => void;
}

/** Answers each ask by the one who knows. */
export class EventAsks {
  readonly #context: EventAsksContext;

  constructor(context: EventAsksContext) {
    this.#context = context;
  }

  /** @throws {FaasError} what the asker did wrong */
  answer(ask: EventAsk, now: number): EventAnswers[EventAskKind] {
    const { file, changes, reader } = this.#context;
    switch (ask.kind) {
      case "limit":
        return this.#limit(ask);
      case "again":
        changes.again(ask.namespace, ask.seq, ask.deliveries, now);
        return undefined;
      case "drop":
        return changes.drop(ask.trigger, ask.reason, ask.upTo, DROPPED_AT_A_TIME);
      case "put":
        return file.resources.put(ask, ask.expected);
      case "remove":
        return file.resources.remove(ask.name);
      case "list":
        return reader.list(ask);
      case "find":
        return reader.find(ask.namespace, ask.seq);
      case "stats":
        return reader.stats(ask.namespace);
      case "pending": {
        const page = file.events.pending(ask.broker, ask.after, ask.limit, PENDING_BYTES);
        if (!page.more) this.#context.drained(ask.broker);
        return page;
      }
      case "events":
        return reader.stored(ask.seqs);
      case "resources":
        return file.resources.list(ask.of, ask.namespace);
      case "resource":
        return file.resources.get(ask.name);
    }
  }

  #limit({ broker, limits: { maxAgeMs, maxBytes, maxEvents } }: Extract<EventAsk, { kind: "limit" }>): undefined {
    const { brokers } = this.#context.file;
    brokers.change(brokers.ensure(broker).no).limits = {
      maxAgeMs: storableInteger(maxAgeMs, 1, LONGEST_MS),
      maxBytes: storableInteger(maxBytes, 0),
      maxEvents: storableInteger(maxEvents, 0),
    };
    this.#context.retention.look();
    return undefined;
  }
}
