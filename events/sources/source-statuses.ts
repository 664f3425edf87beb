import type { Logger } from "../../kit/log.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { SourceStatus } from "./source.ts";

interface Told {
  readonly source: { readonly id: string; readonly namespace: string; readonly name: string };
  readonly status: SourceStatus;
}

const TELL_EVERY_MS = 5_000;

/** What the processes that run sources tell those that are asked about them. */
export class SourceStatuses {
  readonly #resources: Pick<ResourceStore, "get" | "put">;
  readonly #log: Pick<Logger, "debug">;
  readonly #told = new Map<string, string>();

  constructor(resources: Pick<ResourceStore, "get" | "put">, log: Pick<Logger, "debug">) {
    this.#resources = resources;
    this.#log = log;
  }

  /** Tells every few seconds what has changed. @returns ends it */
  follow(running: () => readonly Told[]): () => void {
    const timer = setInterval(() => void this.tell(running()), TELL_EVERY_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  async tell(statuses: readonly Told[]): Promise<void> {
    for (const { source, status } of statuses) {
      const text = JSON.stringify(status);
      if (this.#told.get(source.id) === text) continue;
      try {
        await this.#resources.put({ ...statusName(source.id), spec: status });
        this.#told.set(source.id, text);
      } catch (err) {
        // The store is away; it is told later.
        this.#log.debug({ err, source: source.id }, "the status of a source could not be told");
      }
    }
  }

  /** What another process has told last. */
  async read(id: string): Promise<SourceStatus | undefined> {
    return (await this.#resources.get(statusName(id)))?.spec as SourceStatus | undefined;
  }
}

/** Of a source that is removed. */
export async function removeStatus(resources: Pick<ResourceStore, "remove">, id: string): Promise<void> {
  await resources.remove(statusName(id));
}

function statusName(id: string) {
  const [set = "", namespace = "", name = ""] = id.split("/");
  return { kind: "cursor", namespace, name: `status.${set}.${name}` } as const;
}
