import { isDeepStrictEqual } from "node:util";
import { toFaasError } from "../../contract/errors.ts";
import {
  DECLARED_KINDS,
  type DeclaredKind,
  type EventObject,
  type EventObjectRef,
  type KnownKinds,
  MAX_STATUSES,
  type ObjectProblem,
} from "../../contract/events/event-object.ts";
import type { Logger } from "../../kit/log.ts";
import type { Declaration, DeclaredName } from "../declare/declaration.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import type { ObjectFeed } from "./object-feed.ts";
import { declaredKey, type ObjectMirror } from "./object-mirror.ts";

/** How documents of a kind are declared and removed. */
export interface KindDeclarations {
  declare(declaration: Declaration): Promise<unknown>;
  remove(name: DeclaredName): Promise<unknown>;
  /** What a document has of this spec. @throws {FaasError} `invalid` */
  written(spec: unknown): unknown;
}

export interface ObjectDocumentsOptions {
  readonly resources: Pick<ResourceStore, "list">;
  readonly declarations: Readonly<Record<DeclaredKind, KindDeclarations>>;
  readonly gone: ObjectFeed["gone"];
  /** Has what was declared and removed count in this process. */
  readonly refresh: () => Promise<void>;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

interface Refusal {
  readonly uid: string;
  readonly generation: number;
  readonly problem: ObjectProblem;
  /** The same is not tried again before this. */
  readonly againAt: number;
}

/** Refusals that last until the object is another one. */
const FOR_GOOD: ReadonlySet<string> = new Set(["invalid", "tooLarge"]);
/** Failures that say nothing of the object: others would fail as well. */
const AWAY: ReadonlySet<string> = new Set(["unavailable", "overloaded", "timeout", "upstream"]);
/** What is refused for another reason, such as too many of a kind. */
const AGAIN_MS = 15_000;

/** Has documents be what objects say. Only one process may do that at a time. */
export class ObjectDocuments {
  readonly #options: ObjectDocumentsOptions;
  readonly #refusals = new Map<string, Refusal>();

  constructor(options: ObjectDocumentsOptions) {
    this.#options = options;
  }

  /** Why an object is not what its document is made of. */
  problemOf(object: EventObject): ObjectProblem | undefined {
    if (object.problem) return object.problem;
    const refusal = this.#refusals.get(declaredKey(object));
    return refusal && isAbout(refusal, object) ? refusal.problem : undefined;
  }

  /**
   * Documents by their keys, as they are afterwards.
   * @throws {FaasError} when documents cannot be read or stored now, or nobody says what has become of objects
   */
  async reconcile(mirror: ObjectMirror, signal: AbortSignal): Promise<ReadonlyMap<string, EventResource>> {
    this.#forget(mirror);
    let changes = 0;
    for (const kind of DECLARED_KINDS) {
      if (signal.aborted) break;
      changes += await this.#reconcileKind(kind, mirror, signal);
    }
    if (changes > 0) await this.#options.refresh();
    return await this.#documents();
  }

  async #documents(): Promise<ReadonlyMap<string, EventResource>> {
    const all = await Promise.all(DECLARED_KINDS.map((kind) => this.#options.resources.list(kind)));
    return new Map(all.flat().map((document) => [keyOf(document), document]));
  }

  /** @returns how much has changed */
  async #reconcileKind(kind: DeclaredKind, mirror: ObjectMirror, signal: AbortSignal): Promise<number> {
    const documents = await this.#options.resources.list(kind);
    const counts = new Map<string, number>();
    for (const { namespace } of documents) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
    const byKey = new Map(documents.map((document) => [keyOf(document), document]));
    const gone = await this.#gone(kind, documents, mirror, signal);
    let changes = 0;
    for (const document of documents) {
      if (!gone.has(uidOf(document)) || mirror.find(addressOf(kind, document))) continue;
      await this.#remove(kind, document);
      changes++;
    }
    for (const object of mirror.objects) {
      if (object.kind !== kind || signal.aborted) continue;
      const before = byKey.get(declaredKey(object));
      if (!before) {
        const present = counts.get(object.namespace) ?? 0;
        if (!(await this.#declare(object, undefined, present))) continue;
        counts.set(object.namespace, present + 1);
        changes++;
      } else if (await this.#change(object, before, gone)) changes++;
    }
    return changes;
  }

  /** The `uid`s of documents' objects that are not there any more. Whoever tells of objects may be behind. */
  async #gone(
    kind: DeclaredKind,
    documents: readonly EventResource[],
    mirror: ObjectMirror,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const missing = documents.flatMap((document): EventObjectRef[] => {
      const { origin, namespace, name } = document;
      if (!origin) return [];
      const ref = { kind, namespace, name, uid: origin.uid };
      const there = mirror.find(ref);
      return there ? (there.uid === origin.uid ? [] : [ref]) : isKnown(mirror.kinds, kind) ? [ref] : [];
    });
    const gone = new Set<string>();
    for (let from = 0; from < missing.length; from += MAX_STATUSES) {
      const page = missing.slice(from, from + MAX_STATUSES);
      for (const { uid } of await this.#options.gone(page, signal)) gone.add(uid);
    }
    return gone;
  }

  /** An object, and a document that is there. @returns whether that has changed */
  async #change(object: EventObject, document: EventResource, gone: ReadonlySet<string>): Promise<boolean> {
    const { origin } = document;
    if (!origin) return await this.#takeOver(object, document);
    const isSame = origin.uid === object.uid;
    // Another one took its place, unless who tells of objects is behind.
    if (!isSame && !gone.has(origin.uid)) return false;
    if (object.problem?.keeps === false) {
      await this.#remove(object.kind, document);
      return true;
    }
    // With the same generation, or one of before, there is nothing to do.
    if (isSame && origin.generation >= object.generation) return false;
    return await this.#declare(object, document);
  }

  /** What the API has declared stays, unless the object says the same. */
  async #takeOver(object: EventObject, document: EventResource): Promise<boolean> {
    if (object.problem) return false;
    const { kind, name } = object;
    if (isDeepStrictEqual(document.spec, this.#written(object))) return await this.#declare(object, document);
    const message = `${kind} ${name} was declared over the API before; remove it there, and this object takes its place`;
    this.#refuse(object, { reason: "Taken", message, keeps: true }, 0);
    return false;
  }

  #written({ kind, spec }: EventObject): unknown {
    try {
      return this.#options.declarations[kind].written(spec);
    } catch {
      return undefined; // whoever declares it is told
    }
  }

  /** @returns whether it is declared now */
  async #declare(object: EventObject, before: EventResource | undefined, present?: number): Promise<boolean> {
    const { kind, namespace, name, uid, generation, spec, problem } = object;
    if (problem || this.#isRefused(object)) return false;
    const place = { namespace, name, before, ...(present !== undefined && { present }) };
    try {
      await this.#options.declarations[kind].declare({ ...place, spec, origin: { uid, generation } });
    } catch (thrown) {
      const error = toFaasError(thrown);
      // Somebody else was faster; what there is by now is looked at next time.
      if (error.kind === "conflict") return false;
      if (AWAY.has(error.kind)) throw error;
      const againAt = FOR_GOOD.has(error.kind) ? Number.POSITIVE_INFINITY : this.#options.now() + AGAIN_MS;
      const reason = FOR_GOOD.has(error.kind) ? "Invalid" : error.kind === "unprocessable" ? "TooMany" : "Failed";
      this.#refuse(object, { reason, message: error.message, keeps: true }, againAt);
      return false;
    }
    this.#refusals.delete(declaredKey(object));
    this.#options.log.info({ kind, namespace, name, generation }, "declared by an object of the cluster");
    return true;
  }

  #isRefused(object: EventObject): boolean {
    const refusal = this.#refusals.get(declaredKey(object));
    return refusal !== undefined && isAbout(refusal, object) && this.#options.now() < refusal.againAt;
  }

  #refuse(object: EventObject, problem: ObjectProblem, againAt: number): void {
    const key = declaredKey(object);
    const { uid, generation, kind, namespace, name } = object;
    const known = this.#refusals.get(key);
    this.#refusals.set(key, { uid, generation, problem, againAt });
    if (known && isAbout(known, object) && known.problem.message === problem.message) return;
    this.#options.log.warn({ kind, namespace, name, problem: problem.message }, "an object of the cluster is refused");
  }

  async #remove(kind: DeclaredKind, { namespace, name }: EventResource): Promise<void> {
    await this.#options.declarations[kind].remove({ namespace, name });
    this.#options.log.info({ kind, namespace, name }, "removed, as its object of the cluster is gone");
  }

  #forget(mirror: ObjectMirror): void {
    const keys = new Set([...mirror.objects].map(declaredKey));
    for (const key of this.#refusals.keys()) if (!keys.has(key)) this.#refusals.delete(key);
  }
}

function isAbout({ uid, generation }: Refusal, object: EventObject): boolean {
  return uid === object.uid && generation === object.generation;
}

function isKnown(kinds: KnownKinds | undefined, kind: DeclaredKind): boolean {
  return kinds !== undefined && kinds[kind] !== "unknown";
}

function uidOf({ origin }: EventResource): string {
  return origin?.uid ?? "";
}

function addressOf(kind: DeclaredKind, { namespace, name }: EventResource) {
  return { kind, namespace, name };
}

function keyOf({ kind, namespace, name }: EventResource): string {
  return `${kind}/${namespace}/${name}`;
}
