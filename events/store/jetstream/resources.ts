import { FaasError } from "../../../contract/errors.ts";
import { API_ERRORS, isApiError, type Link } from "../../../gateway/nats/connection.ts";
import { readOn } from "../../../gateway/nats/direct-get.ts";
import { deleteMessage, readMessage } from "../../../gateway/nats/stored-message.ts";
import {
  type EventResource,
  type EventResourceName,
  MAX_RESOURCE_BYTES,
  type ResourceKind,
  type ResourceStore,
} from "../resource-store.ts";
import type { EventContext } from "./client/context.ts";
import { EVENT_SIGNALS, EVENT_STREAMS, newId, resourceSubject } from "./client/names.ts";

const PAGE = 256;
const PAGE_BYTES = 8 * 1024 ** 2;
/** Whoever changes something tells the others; should that get lost, they see it so much later. */
const LOOK_MS = 5000;
/** For what a message has beside a document. */
const OVERHEAD_BYTES = 2048;

type Stored = Omit<EventResource, "version">;

/** Documents as messages, of which the stream keeps the last one for each name. Their numbers are the versions. */
export class JetStreamResources implements ResourceStore {
  readonly #context: EventContext;
  readonly #listeners = new Map<ResourceKind, Set<() => void>>();
  readonly #off: (() => void)[] = [];
  #seen = "";

  constructor(context: EventContext) {
    this.#context = context;
  }

  /** @param onLimits told when limits of brokers have changed */
  start(onLimits: () => void): void {
    const { link, settings } = this.#context;
    const signals = link.nc.subscribe(EVENT_SIGNALS.changed, {
      callback: (err, msg) => {
        if (err) return;
        const what = msg.string();
        if (what === "limits") onLimits();
        else this.#tell(what as ResourceKind);
      },
    });
    const look = () =>
      void this.#look(onLimits).catch((err: unknown) => settings.log.debug({ err }, "documents cannot be looked at"));
    const looking = setInterval(look, LOOK_MS);
    looking.unref();
    this.#off.push(
      () => clearInterval(looking),
      () => link.nc.isClosed() || signals.unsubscribe(),
      link.onReconnect(() => {
        onLimits();
        this.#tellAll();
      }),
    );
    look();
  }

  close(): void {
    for (const off of this.#off.splice(0)) off();
    this.#listeners.clear();
  }

  async list(kind: ResourceKind, namespace?: string): Promise<readonly EventResource[]> {
    const subject = resourceSubject(kind, namespace);
    const all: EventResource[] = [];
    for (let seq = 1; ; ) {
      const bounds = { seq, subject, limit: PAGE, maxBytes: PAGE_BYTES };
      const { messages } = await readOn(this.#link, EVENT_STREAMS.resources, bounds);
      if (messages.length === 0) break;
      all.push(...messages.map(resourceOf));
      seq = (messages.at(-1)?.seq as number) + 1;
    }
    // One that was changed meanwhile has been read twice.
    const latest = new Map(all.map((resource) => [`${resource.namespace}/${resource.name}`, resource]));
    return [...latest.values()].toSorted((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
  }

  async get({ kind, namespace, name }: EventResourceName): Promise<EventResource | undefined> {
    const subject = resourceSubject(kind, namespace, name);
    const message = await readMessage(this.#link, EVENT_STREAMS.resources, { last_by_subj: subject });
    return message && resourceOf(message);
  }

  async put({ kind, namespace, name, spec, origin }: Stored, expected?: number): Promise<number> {
    const text = JSON.stringify(spec) ?? "null";
    const bytes = Buffer.byteLength(text);
    const most = Math.min(MAX_RESOURCE_BYTES, this.#link.maxPayload - OVERHEAD_BYTES);
    if (bytes > most) {
      throw new FaasError("tooLarge", `${kind} ${name} takes ${bytes} bytes as JSON; at most ${most} are kept`);
    }
    const stored = { kind, namespace, name, spec: JSON.parse(text) as unknown, ...(origin && { origin }) };
    const payload = Buffer.from(JSON.stringify(stored));
    const request = { id: newId(), ...(expected !== undefined && { after: expected }) };
    try {
      const subject = resourceSubject(kind, namespace, name);
      const { seq } = await this.#context.publisher.publish(subject, payload, request);
      this.#changed(kind);
      return seq;
    } catch (error) {
      if (!isApiError(error, API_ERRORS.wrongLastSequence)) throw error;
      const wanted = expected === 0 ? "there is one already" : `its version is not ${expected} (any more)`;
      throw new FaasError("conflict", `${kind} ${name} was changed by somebody else: ${wanted}`);
    }
  }

  async remove({ kind, namespace, name }: EventResourceName): Promise<boolean> {
    const subject = resourceSubject(kind, namespace, name);
    for (;;) {
      const message = await readMessage(this.#link, EVENT_STREAMS.resources, { last_by_subj: subject });
      if (!message) return false;
      // One that is put at this moment has another number.
      if (await deleteMessage(this.#link, EVENT_STREAMS.resources, message.seq)) {
        this.#changed(kind);
        return true;
      }
    }
  }

  watch(kind: ResourceKind, onChange: () => void): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(onChange);
    return () => listeners.delete(onChange);
  }

  get #link(): Link {
    return this.#context.link;
  }

  /** The connection hears its own signals, too. */
  #changed(kind: ResourceKind): void {
    this.#link.send({ subject: EVENT_SIGNALS.changed, payload: kind });
  }

  async #look(onLimits: () => void): Promise<void> {
    if (!this.#link.connected) return;
    const { state } = await this.#link.api<{ state: { num_subjects?: number } }>(
      `STREAM.INFO.${EVENT_STREAMS.resources}`,
    );
    const last = await readMessage(this.#link, EVENT_STREAMS.resources, { last_by_subj: resourceSubject() });
    const seen = `${last?.seq ?? 0} ${state.num_subjects ?? 0}`;
    const before = this.#seen;
    this.#seen = seen;
    if (before === "" || before === seen) return;
    onLimits();
    this.#tellAll();
  }

  #tell(kind: ResourceKind): void {
    for (const listener of this.#listeners.get(kind) ?? []) listener();
  }

  #tellAll(): void {
    for (const kind of this.#listeners.keys()) this.#tell(kind);
  }
}

function resourceOf({ data, seq }: { readonly data: Buffer; readonly seq: number }): EventResource {
  return { ...(JSON.parse(data.toString()) as Stored), version: seq };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
