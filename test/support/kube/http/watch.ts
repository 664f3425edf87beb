import type { ServerResponse } from "node:http";
import type { Resource } from "../resources.ts";
import type { ObjectMatcher } from "../selectors.ts";
import { ApiError } from "../status.ts";
import type { Store, StoreEvent } from "../store.ts";
import type { Encoder, Format } from "./encode.ts";
import { parseCount, parseRevision } from "./list.ts";
import { matcherOf } from "./match.ts";
import { isTrue, type ResourceRoute } from "./route.ts";

/** A watcher that lets so much pile up is cut off, as the real server does. */
const BACKLOG_LIMIT_BYTES = 64 * 1024 * 1024;

interface Watcher {
  readonly resource: Resource;
  readonly namespace: string;
  readonly matches: ObjectMatcher;
  readonly format: Format;
  readonly bookmarks: boolean;
  readonly res: ServerResponse;
}

/** All watches that are open. */
export class WatchHub {
  readonly #store: Store;
  readonly #encoder: Encoder;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #unsubscribe: () => void;
  readonly #ticker: NodeJS.Timeout;

  /** @param bookmarkIntervalMs how often watches that asked for bookmarks get one */
  constructor(store: Store, encoder: Encoder, bookmarkIntervalMs: number) {
    this.#store = store;
    this.#encoder = encoder;
    this.#unsubscribe = store.subscribe((event) => this.#dispatch(event));
    this.#ticker = setInterval(() => {
      for (const watcher of this.#all()) this.#bookmark(watcher);
    }, bookmarkIntervalMs).unref();
  }

  get count(): number {
    return this.#all().length;
  }

  /**
   * Answers a watch: events from the revision asked for on, until the time is up or the client goes.
   * @throws {ApiError} for malformed parameters, before anything is sent
   */
  open({ resource, namespace, name, query }: ResourceRoute, format: Format, res: ServerResponse): void {
    const revision = parseRevision(query.get("resourceVersion"));
    const bookmarks = isTrue(query.get("allowWatchBookmarks"));
    const initial = query.get("sendInitialEvents");
    const matches = matcherOf(resource, name, query);
    const timeoutSeconds = parseCount(query, "timeoutSeconds");
    const watcher: Watcher = { resource, namespace, matches, format, bookmarks, res };
    res.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    res.flushHeaders();
    if (!this.#sendPast(watcher, revision, initial === null ? undefined : isTrue(initial))) {
      res.end();
      return;
    }
    this.#register(watcher, timeoutSeconds);
  }

  /** Ends all watches in the middle, as a proxy does that restarts. */
  cut(): void {
    for (const { res } of this.#all()) res.destroy();
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#unsubscribe();
    this.cut();
  }

  #all(): Watcher[] {
    return [...this.#watchers.values()].flatMap((watchers) => [...watchers]);
  }

  #register(watcher: Watcher, timeoutSeconds: number): void {
    const { key } = watcher.resource;
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    const timer =
      timeoutSeconds === 0
        ? undefined
        : setTimeout(() => {
            this.#bookmark(watcher);
            watchers.delete(watcher);
            watcher.res.end();
          }, timeoutSeconds * 1000).unref();
    watcher.res.once("close", () => {
      clearTimeout(timer);
      watchers.delete(watcher);
    });
  }

  /** @returns false when the revision is too old, which the client has been told */
  #sendPast(watcher: Watcher, revision: number | undefined, sendInitial: boolean | undefined): boolean {
    const { resource, namespace, res } = watcher;
    if (sendInitial ?? (revision === undefined || revision === 0)) {
      for (const object of this.#store.list(resource.key, namespace)) {
        if (watcher.matches(object))
          this.#write(watcher, "ADDED", this.#encoder.object(resource, object, watcher.format));
      }
      if (sendInitial === true && watcher.bookmarks) {
        const annotations = { "k8s.io/initial-events-end": "true" };
        const text = this.#encoder.bookmark(resource, this.#store.revision, watcher.format, annotations);
        this.#write(watcher, "BOOKMARK", text);
      }
      return true;
    }
    if (revision === undefined) return true; // sendInitialEvents=false: from now on
    try {
      for (const event of this.#store.eventsSince(resource.key, revision)) this.#send(watcher, event);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      res.write(`${JSON.stringify({ type: "ERROR", object: error.toStatus() })}\n`);
      return false;
    }
  }

  #dispatch(event: StoreEvent): void {
    for (const watcher of this.#watchers.get(event.resource) ?? []) this.#send(watcher, event);
  }

  /** What changes within and without the selection looks like something coming or going. */
  #send(watcher: Watcher, { type, object, previous }: StoreEvent): void {
    if (watcher.namespace !== "" && object.metadata.namespace !== watcher.namespace) return;
    const did = previous !== undefined && watcher.matches(previous);
    const does = type !== "DELETED" && watcher.matches(object);
    if (!did && !does) return;
    const shown = did && does ? "MODIFIED" : does ? "ADDED" : "DELETED";
    this.#write(watcher, shown, this.#encoder.object(watcher.resource, object, watcher.format));
  }

  #bookmark(watcher: Watcher): void {
    if (!watcher.bookmarks) return;
    this.#write(watcher, "BOOKMARK", this.#encoder.bookmark(watcher.resource, this.#store.revision, watcher.format));
  }

  #write({ res }: Watcher, type: string, object: string): void {
    res.write(`{"type":"${type}","object":${object}}\n`);
    if (res.writableLength > BACKLOG_LIMIT_BYTES) res.destroy();
  }
}
