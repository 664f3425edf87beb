import { FaasError } from "../../../contract/errors.ts";
import { checkedEvent } from "../../../events/codec/cloud-event.ts";
import type {
  AnswerRequest,
  SourceAnswer,
  SourceContext,
  SourceEvent,
  SourceRequest,
  SourceType,
} from "../../../events/sources/source.ts";
import { ANY_TARGET, type CallbackTargetRules, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { eventually } from "../eventually.ts";

export interface FakeSourceOptions {
  readonly namespace?: string;
  readonly name?: string;
  /** Texts of secrets by `NAME` or `NAME/KEY`. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly cursor?: string;
  readonly now?: () => number;
  /** Default: anywhere. */
  readonly targets?: CallbackTargetRules;
}

/** What stands in for the runner of sources: it records what a source emits and says. */
export class FakeSourceContext implements SourceContext {
  readonly namespace: string;
  readonly name: string;
  readonly now: () => number;
  /** What was stored, in order; duplicates by `once` are left out. */
  readonly emitted: SourceEvent[] = [];
  readonly warnings: unknown[] = [];
  readonly failures: unknown[] = [];
  /** As the status would have it. */
  connections = 0;
  lastLag: number | undefined;
  savedCursor: string | undefined;
  /** Set to have emits fail until it is unset. */
  failing: Error | undefined;
  /** References of events that are to be seen as open. */
  readonly open = new Set<string>();
  /** What `emit` awaits before it stores, e.g. to hold it. */
  beforeStore: (events: readonly SourceEvent[]) => Promise<void> = async () => {};
  answer: AnswerRequest | undefined;
  readonly log = { info: () => {}, warn: () => {}, debug: () => {} } as unknown as SourceContext["log"];
  readonly targets: CallbackTargets;
  readonly #secrets: Readonly<Record<string, string>>;
  readonly #stopping = new AbortController();
  readonly #refs = new Map<string, string>();
  readonly #arrivals = new Map<string, number>();

  constructor({
    namespace = "openfaas-fn",
    name = "source",
    secrets = {},
    cursor,
    now,
    targets,
  }: FakeSourceOptions = {}) {
    this.namespace = namespace;
    this.name = name;
    this.now = now ?? Date.now;
    this.targets = new CallbackTargets(targets ?? ANY_TARGET);
    this.savedCursor = cursor;
    this.#secrets = secrets;
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  async emit(events: readonly SourceEvent[]) {
    for (const { event } of events) checkedEvent(event);
    await this.beforeStore(events);
    if (this.failing) throw this.failing;
    return events.map((event) => {
      const seen = event.once === undefined ? undefined : this.#refs.get(event.once);
      if (seen !== undefined) return { ref: seen, duplicate: true };
      const ref = `ref-${this.emitted.push(event)}`;
      this.#arrivals.set(ref, this.now());
      if (event.once !== undefined) this.#refs.set(event.once, ref);
      return { ref, duplicate: false };
    });
  }

  async isOpen(ref: string) {
    return this.open.has(ref);
  }

  async arrivedAt(ref: string) {
    return this.#arrivals.get(ref);
  }

  receive(answer: AnswerRequest) {
    this.answer = answer;
  }

  /** Sends a request to the source's address. */
  async request(request: Partial<SourceRequest>): Promise<SourceAnswer> {
    if (!this.answer) throw new Error("the source does not receive");
    return await this.answer({
      method: "POST",
      headers: {},
      query: new URLSearchParams(),
      body: Buffer.alloc(0),
      ...request,
    });
  }

  async secret(name: string, key?: string) {
    const text = this.#secrets[key === undefined ? name : `${name}/${key}`];
    if (text === undefined) throw new FaasError("notFound", `secret ${name} does not exist`);
    return text;
  }

  readonly cursor = {
    load: async () => this.savedCursor,
    save: async (text: string) => {
      this.savedCursor = text;
    },
  };

  connected() {
    this.connections++;
  }

  lag(count: number) {
    this.lastLag = count;
  }

  lost(error: unknown) {
    this.failures.push(error);
  }

  warn(error: unknown) {
    this.warnings.push(error);
  }

  /** As when the source is removed, or the process ends. */
  stop() {
    this.#stopping.abort();
  }

  async waitForEvents(count: number, deadlineMs = 15_000): Promise<readonly SourceEvent[]> {
    await eventually(`${count} events emitted`, () => this.emitted.length >= count, deadlineMs);
    return this.emitted;
  }
}

/** A source that runs; `ended` is settled as `run` is. */
export function runSource<Settings>(type: SourceType<Settings>, given: unknown, context: FakeSourceContext) {
  const settings = type.settings.parse(given);
  const ended = type.run(settings, context);
  // Looked at by those who want to know.
  ended.catch(() => {});
  return {
    ended,
    stop: async () => {
      context.stop();
      await ended;
    },
  };
}
