import { qualifiedName } from "../../../../contract/functions.ts";
import { isOlder } from "../cache/informer-cache.ts";
import type { Identified, WatchSink } from "../client/watcher.ts";

/** By namespace and name, as functions are. */
export function objectKey({ metadata }: Identified): string {
  return qualifiedName({ name: metadata?.name ?? "", namespace: metadata?.namespace ?? "" });
}

type Recorded = Identified & { readonly metadata: { readonly uid?: string } };

/** The newest that is known of each object of a kind, from watching and from writing. */
export class RecordTable<T extends Recorded> implements WatchSink<T> {
  readonly #records = new Map<string, T>();
  readonly #onChange: (key: string) => void;

  constructor(onChange: (key: string) => void) {
    this.#onChange = onChange;
  }

  get(key: string): T | undefined {
    return this.#records.get(key);
  }

  entries(): IterableIterator<[string, T]> {
    return this.#records.entries();
  }

  replace(records: readonly T[]): void {
    const seen = new Set(records.map(objectKey));
    for (const record of records) this.put(record);
    for (const [key, record] of this.#records) if (!seen.has(key)) this.remove(record);
  }

  put(record: T): void {
    const key = objectKey(record);
    const known = this.#records.get(key);
    if (known && isOlder(record, known)) return;
    this.#records.set(key, record);
    this.#onChange(key);
  }

  remove(record: T): void {
    const key = objectKey(record);
    // Another one of that name may have been made and learned of meanwhile.
    if (this.#records.get(key)?.metadata.uid !== record.metadata.uid) return;
    this.#records.delete(key);
    this.#onChange(key);
  }
}
