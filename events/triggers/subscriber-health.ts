import { z } from "zod";
import type { Logger } from "../../kit/log.ts";
import { FollowedDocuments } from "../store/followed-documents.ts";
import type { EventResourceName, ResourceStore } from "../store/resource-store.ts";
import type { Trigger } from "./trigger.ts";

const healthSpec = z.object({
  trigger: z.string(),
  /** Milliseconds since the epoch of the first failure after which nothing went well. */
  failingSince: z.number().optional(),
  stopped: z.object({ reason: z.string(), at: z.number(), declared: z.string().optional() }).optional(),
});
type Health = z.output<typeof healthSpec>;

export type HealthResources = Pick<ResourceStore, "list" | "watch" | "put" | "remove">;
type Identified = Pick<Trigger, "id" | "declared">;

/** Which subscribers are gone, or have failed for how long: documents of kind `health`, shared by all processes. */
export class SubscriberHealth {
  readonly ready: Promise<void>;
  readonly #resources: HealthResources;
  readonly #documents: FollowedDocuments;
  readonly #log: Pick<Logger, "warn">;
  readonly #listeners = new Set<() => void>();
  readonly #byTrigger = new Map<string, Health>();
  /** Writes under way, so that what is read meanwhile does not undo them here. */
  #writes = 0;

  constructor(resources: HealthResources, log: Pick<Logger, "warn">) {
    this.#resources = resources;
    this.#log = log;
    this.#documents = new FollowedDocuments(resources, "health", log);
    this.#documents.onChange(() => this.#read());
    this.ready = this.#documents.ready;
  }

  #read(): void {
    if (this.#writes > 0) return;
    this.#byTrigger.clear();
    for (const { spec } of this.#documents.all) {
      const parsed = healthSpec.safeParse(spec);
      if (parsed.success) this.#byTrigger.set(parsed.data.trigger, parsed.data);
    }
    this.#tell();
  }

  /** Why its subscriber gets nothing any more; undefined when it does. A new declaration starts it again. */
  stopped({ id, declared }: Identified): string | undefined {
    const stopped = this.#byTrigger.get(id)?.stopped;
    return stopped && stopped.declared === declared ? stopped.reason : undefined;
  }

  /** Since when nothing has gone well with it, in milliseconds since the epoch. */
  failingSince({ id }: Identified): number | undefined {
    return this.#byTrigger.get(id)?.failingSince;
  }

  async stop({ id, declared }: Identified, reason: string, at: number): Promise<void> {
    await this.#set({ trigger: id, stopped: { reason, at, ...(declared !== undefined && { declared }) } });
  }

  async failed({ id }: Identified, at: number): Promise<void> {
    if (this.#byTrigger.has(id)) return;
    await this.#set({ trigger: id, failingSince: at });
  }

  async succeeded({ id }: Identified): Promise<void> {
    if (this.#byTrigger.get(id)?.failingSince !== undefined) await this.release(id);
  }

  /** It starts again. @returns whether it had stopped or failed */
  async release(id: string): Promise<boolean> {
    const known = this.#byTrigger.delete(id);
    if (known) this.#tell();
    const removed = await this.#write(() => this.#resources.remove(nameOf(id)));
    return removed ?? known;
  }

  /** Its trigger is gone, and with it what is known of its subscriber. */
  async forget(id: string): Promise<void> {
    if (this.#byTrigger.has(id)) await this.release(id);
  }

  async #set(health: Health): Promise<void> {
    this.#byTrigger.set(health.trigger, health);
    this.#tell();
    await this.#write(() => this.#resources.put({ ...nameOf(health.trigger), spec: health }));
  }

  /** What cannot be written holds here, and is written with the next failure. */
  async #write<T>(write: () => Promise<T>): Promise<T | undefined> {
    this.#writes++;
    try {
      return await write();
    } catch (err) {
      this.#log.warn({ err }, "the state of a subscriber cannot be stored");
      return undefined;
    } finally {
      if (--this.#writes === 0) void this.#documents.refresh();
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#documents.close();
  }
}

/** `function/NAMESPACE/NAME` as the name of its document. */
function nameOf(id: string): EventResourceName {
  const [kind = "", namespace = "", ...rest] = id.split("/");
  return { kind: "health", namespace, name: [kind, ...rest].join(".") };
}
