import {
  DECLARED_KINDS,
  type DeclaredKind,
  type EventObject,
  type EventObjectRef,
  type EventObjectStatus,
  type EventObjectsEvent,
  type KindKnowledge,
  type KnownKinds,
  OBJECT_KINDS,
  type ObjectProblem,
  type StatusOutcome,
} from "../../../../contract/events/event-object.ts";
import type { Logger } from "../../../../kit/log.ts";
import type { EventObjectStore } from "../../backend.ts";
import { Notifier } from "../../notifier.ts";
import { isOlder } from "../cache/informer-cache.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { type UnseenReason, type WatchSink, watchObjects } from "../client/watcher.ts";
import {
  EVENT_PLURALS,
  type EventObjectRecord,
  type EventResourceObject,
  recordEventObject,
} from "../resources/event-object.ts";
import { untilAborted } from "../waits.ts";
import { writeStatus } from "./write-status.ts";

export interface EventObjectsOptions {
  readonly client: Pick<KubernetesClient, "get" | "find" | "stream" | "mergePatch">;
  /** The one namespace of functions; undefined when there are several. */
  readonly scope: string | undefined;
  /** Whether functions may live there. */
  readonly hasNamespace: (name: string) => boolean;
  /** Resolves once it is known which namespaces there are. */
  readonly ready: Promise<unknown>;
  /** How often to look for kinds that were not installed, or may not be looked at. */
  readonly absentMs: number;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly signal: AbortSignal;
}

/** One that is gone twice in a row is gone: an API server that has just begun may not know its kinds yet. */
const ABSENT_LOOKS = 2;
/** Of the specs of all objects together. */
export const MAX_TOTAL_BYTES = 64 * 1024 ** 2;
/** Statuses that are written at a time. */
const CONCURRENCY = 8;

interface Reader {
  /** What it has not been told yet, the newest of each. */
  readonly changes: Map<string, EventObjectsEvent>;
  readonly notifier: Notifier;
}

/** The objects that declare events' documents. Nobody looks at the cluster for them before somebody asks. */
export class EventObjects implements EventObjectStore {
  readonly #options: EventObjectsOptions;
  readonly #records = new Map<string, EventObjectRecord>();
  readonly #kinds: Record<DeclaredKind, KindKnowledge> = {
    broker: "unknown",
    trigger: "unknown",
    source: "unknown",
    sink: "unknown",
    flow: "unknown",
  };
  readonly #absentLooks = new Map<DeclaredKind, number>();
  readonly #readers = new Set<Reader>();
  /** What has been logged of what is missing. */
  readonly #told = new Set<UnseenReason>();
  #bytes = 0;
  #watching: Promise<unknown> | undefined;

  constructor(options: EventObjectsOptions) {
    this.#options = options;
  }

  /** See `EventObjectStore.watch`. */
  async *watch(signal: AbortSignal): AsyncGenerator<EventObjectsEvent> {
    const either = AbortSignal.any([signal, this.#options.signal]);
    this.#start();
    await untilAborted(this.#options.ready, either);
    if (either.aborted) return;
    const own: Reader = { changes: new Map(), notifier: new Notifier() };
    this.#readers.add(own);
    // Taken together, so that no change falls between what there is and the changes to it.
    const [records, kinds] = [[...this.#records.values()], this.#known()];
    try {
      for (const record of records) {
        if (either.aborted) return;
        yield { type: "object", object: this.#shown(record) };
      }
      yield { type: "kinds", kinds };
      while (!either.aborted) {
        const version = own.notifier.version;
        for (const [key, change] of own.changes) {
          own.changes.delete(key);
          yield change;
          if (either.aborted) return;
        }
        await own.notifier.after(version, either);
      }
    } finally {
      this.#readers.delete(own);
    }
  }

  /** See `EventObjectStore.report`. */
  async report(statuses: readonly EventObjectStatus[]): Promise<readonly StatusOutcome[]> {
    const outcomes: StatusOutcome[] = [];
    const left = [...statuses.entries()];
    const work = async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        const [place, status] = next;
        outcomes[place] = await this.#write(status);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    return outcomes;
  }

  /** See `EventObjectStore.gone`. */
  async gone(objects: readonly EventObjectRef[]): Promise<readonly EventObjectRef[]> {
    const gone: EventObjectRef[] = [];
    for (const ref of objects) if (await this.#isGone(ref)) gone.push(ref);
    return gone;
  }

  async #isGone({ kind, namespace, name, uid }: EventObjectRef): Promise<boolean> {
    const path = `${apiPath.eventObjects(EVENT_PLURALS[kind], namespace)}/${name}`;
    const found = await this.#options.client.find<EventResourceObject>(path);
    return found?.metadata?.uid !== uid;
  }

  /** Namespaces have come or gone. */
  republish(): void {
    for (const [key, record] of this.#records) this.#tell(key, { type: "object", object: this.#shown(record) });
  }

  /** Resolves once nothing is watched any more. */
  async close(): Promise<void> {
    await this.#watching;
  }

  #start(): void {
    const { client, scope, absentMs, log, signal } = this.#options;
    this.#watching ??= Promise.all(
      DECLARED_KINDS.map((kind) =>
        watchObjects<EventResourceObject, EventObjectRecord>(
          {
            client,
            path: apiPath.eventObjects(EVENT_PLURALS[kind], scope),
            trim: (object) => recordEventObject(kind, object),
            sink: this.#sinkOf(kind),
            log: log as Logger,
            absentMs,
            refusedMs: absentMs,
          },
          signal,
        ),
      ),
    );
  }

  #sinkOf(kind: DeclaredKind): WatchSink<EventObjectRecord> {
    return {
      replace: (records) => {
        const seen = new Set(records.map(keyOf));
        for (const record of records) this.#put(record);
        for (const [key, { object }] of this.#records) if (object.kind === kind && !seen.has(key)) this.#remove(key);
        this.#learn(kind, "listed");
      },
      put: (record) => this.#put(record),
      remove: (record) => {
        const key = keyOf(record);
        // Another one of that name may have been made and learned of meanwhile.
        if (this.#records.get(key)?.object.uid === record.object.uid) this.#remove(key);
      },
      unseen: (why) => this.#unseen(kind, why),
    };
  }

  #unseen(kind: DeclaredKind, why: UnseenReason): void {
    const { log } = this.#options;
    if (!this.#told.has(why)) {
      this.#told.add(why);
      const facts = { kind: OBJECT_KINDS[kind] };
      if (why === "absent")
        log.info(facts, "cluster does not have the kinds of events' objects; looking again now and then");
      else log.warn(facts, "not permitted to watch events' objects; looking again now and then");
    }
    if (why === "refused") return;
    const looks = (this.#absentLooks.get(kind) ?? 0) + 1;
    this.#absentLooks.set(kind, looks);
    if (looks < ABSENT_LOOKS) return;
    for (const [key, { object }] of this.#records) if (object.kind === kind) this.#remove(key);
    this.#learn(kind, "absent");
  }

  #learn(kind: DeclaredKind, knowledge: KindKnowledge): void {
    if (knowledge === "listed") {
      this.#absentLooks.delete(kind);
      this.#told.clear();
    }
    if (this.#kinds[kind] === knowledge) return;
    this.#kinds[kind] = knowledge;
    this.#tell("kinds", { type: "kinds", kinds: this.#known() });
  }

  #known(): KnownKinds {
    return { ...this.#kinds };
  }

  #put(given: EventObjectRecord): void {
    const key = keyOf(given);
    const known = this.#records.get(key);
    if (known && isOlder(given, known)) return;
    this.#bytes -= known?.bytes ?? 0;
    const record = this.#bytes + given.bytes > MAX_TOTAL_BYTES ? leftOut(given) : given;
    this.#bytes += record.bytes;
    this.#records.set(key, record);
    // Its status is ours, and nobody's news.
    if (known && isSame(known.object, record.object)) return;
    this.#tell(key, { type: "object", object: this.#shown(record) });
  }

  #remove(key: string): void {
    const known = this.#records.get(key);
    if (!known) return;
    this.#records.delete(key);
    this.#bytes -= known.bytes;
    const { kind, namespace, name, uid } = known.object;
    this.#tell(key, { type: "removed", object: { kind, namespace, name, uid } });
  }

  #shown({ object }: EventObjectRecord): EventObject {
    if (this.#options.hasNamespace(object.namespace)) return object;
    const { spec: _, ...rest } = object;
    return { ...rest, problem: notServed(object.namespace) };
  }

  #tell(key: string, change: EventObjectsEvent): void {
    for (const { changes, notifier } of this.#readers) {
      // To the end, to be told after what happened before it.
      changes.delete(key);
      changes.set(key, change);
      notifier.notify();
    }
  }

  async #write(status: EventObjectStatus): Promise<StatusOutcome> {
    const { kind, namespace, name, uid } = status;
    const key = `${kind}/${namespace}/${name}`;
    const record = this.#records.get(key);
    if (record?.object.uid !== uid) return { kind, namespace, name, outcome: "gone" };
    const { outcome, object } = await writeStatus(this.#options.client, record, status, new Date());
    if (object) this.#put(recordEventObject(kind, object));
    return outcome;
  }
}

function keyOf({ object: { kind, namespace, name } }: EventObjectRecord): string {
  return `${kind}/${namespace}/${name}`;
}

function isSame(one: EventObject, other: EventObject): boolean {
  return (
    one.uid === other.uid &&
    one.generation === other.generation &&
    (one.problem === undefined) === (other.problem === undefined)
  );
}

function leftOut(record: EventObjectRecord): EventObjectRecord {
  const { spec: _, ...object } = record.object;
  const message = `spec: the objects of events have more than ${MAX_TOTAL_BYTES} bytes together; this one is left out`;
  return { ...record, bytes: 0, object: { ...object, problem: { reason: "TooMuch", message, keeps: true } } };
}

function notServed(namespace: string): ObjectProblem {
  const message = `metadata.namespace: ${namespace} is no namespace of functions`;
  return { reason: "NamespaceNotServed", message, keeps: false };
}
