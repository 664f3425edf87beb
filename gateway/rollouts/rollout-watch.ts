import { FaasError } from "../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import type { ListedRollout } from "../../contract/versions/requests.ts";
import { parseVersionedName } from "../../contract/versions/version-name.ts";

/** Told of a rollout now and with each change of it. */
export interface RolloutReader {
  tell(listed: ListedRollout): void;
  /** There is nothing more to come: the function is gone, or the gateway stops. */
  end(): void;
}

export interface RolloutWatchOptions {
  readonly store: { read(ref: FunctionRef): Promise<ListedRollout> };
  readonly table: {
    /** @param target `name.namespace` */
    find(target: string): object | undefined;
    onChange(listener: (ref: FunctionRef) => void): () => void;
  };
  /** Of all functions together. */
  readonly maxReaders: number;
}

interface Watched {
  readonly ref: FunctionRef;
  readonly readers: Set<RolloutReader>;
  /** What was told last, to tell nothing twice. */
  last: ListedRollout | undefined;
  /** Whether the provider is asked just now, or about to be; and whether something has changed since. */
  asking: boolean;
  changed: boolean;
}

/** Functions change often, at each replica that comes or goes; their rollouts are looked at no more often than that. */
const PAUSE_MS = 200;
/** After a failure. */
const AGAIN_MS = 2_000;

/** Tells whoever wants to know how rollouts go. However many they are, the provider is asked once for each change. */
export class RolloutWatch {
  readonly #options: RolloutWatchOptions;
  readonly #functions = new Map<string, Watched>();
  readonly #stopListening: () => void;
  #count = 0;
  #closed = false;

  constructor(options: RolloutWatchOptions) {
    this.#options = options;
    this.#stopListening = options.table.onChange(({ name, namespace }) => {
      const watched = this.#functions.get(qualifiedName({ name: parseVersionedName(name).name, namespace }));
      if (watched) this.#changed(watched);
    });
  }

  /**
   * Tells `reader` what is now, and each change from then on.
   * @returns ends that
   * @throws {FaasError} `overloaded` when too many read already; and what the provider says
   */
  async add(ref: FunctionRef, reader: RolloutReader): Promise<() => void> {
    const { maxReaders, store } = this.#options;
    if (this.#closed) throw new FaasError("unavailable", "the gateway is stopping", { code: "stopping" });
    if (this.#count >= maxReaders)
      throw new FaasError("overloaded", `more than ${maxReaders} read of rollouts already`);
    this.#count++;
    const name = qualifiedName(ref);
    const fresh: Watched = { ref, readers: new Set(), last: undefined, asking: false, changed: false };
    const watched = this.#functions.get(name) ?? fresh;
    this.#functions.set(name, watched);
    watched.readers.add(reader);
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      this.#count--;
      watched.readers.delete(reader);
      if (watched.readers.size === 0 && this.#functions.get(name) === watched) this.#functions.delete(name);
    };
    try {
      const before = watched.last;
      const listed = await store.read(ref);
      // A change may have been read meanwhile, which is newer.
      if (watched.last === before) watched.last = listed;
      if (!ended) reader.tell(watched.last ?? listed);
    } catch (error) {
      end();
      throw error;
    }
    return end;
  }

  #changed(watched: Watched): void {
    watched.changed = true;
    if (watched.asking) return;
    watched.asking = true;
    setTimeout(() => void this.#ask(watched), PAUSE_MS).unref();
  }

  async #ask(watched: Watched): Promise<void> {
    const { store, table } = this.#options;
    watched.changed = false;
    let waitMs = PAUSE_MS;
    try {
      if (watched.readers.size === 0) return;
      const listed = await store.read(watched.ref);
      const isNew = JSON.stringify(listed) !== JSON.stringify(watched.last);
      watched.last = listed;
      if (isNew) for (const reader of watched.readers) reader.tell(listed);
    } catch (error) {
      const isGone = error instanceof FaasError && error.kind === "notFound" && !table.find(qualifiedName(watched.ref));
      if (isGone) for (const reader of [...watched.readers]) reader.end();
      else watched.changed = true;
      waitMs = AGAIN_MS;
    } finally {
      if (watched.changed && !this.#closed) setTimeout(() => void this.#ask(watched), waitMs).unref();
      else watched.asking = false;
    }
  }

  /** All readers are let go. May be called twice. */
  close(): void {
    this.#closed = true;
    this.#stopListening();
    for (const { readers } of [...this.#functions.values()]) for (const reader of [...readers]) reader.end();
  }
}
