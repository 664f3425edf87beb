import { type EventObjectStatus, MAX_STATUSES, type StatusOutcome } from "../../contract/events/event-object.ts";
import type { Logger } from "../../kit/log.ts";
import type { ObjectFeed } from "./object-feed.ts";
import { declaredKey } from "./object-mirror.ts";

export interface StatusWriterOptions {
  readonly report: ObjectFeed["report"];
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly log: Pick<Logger, "debug" | "warn">;
}

interface Written {
  /** All of it. */
  readonly text: string;
  /** What somebody may wait for. */
  readonly urgent: string;
  readonly at: number;
  /** Not again before this. */
  readonly againAt: number;
}

/** Of a request. */
const MAX_PAGE_BYTES = 256 * 1024;
/** What changes with every event is told so often. */
const QUIET_MS = 30_000;
/** One that could not be written, or that nobody knew, is tried again. */
const AGAIN_MS = 5_000;

/** Has statuses written into objects: what is new, at once where somebody may wait for it. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  #written = new Map<string, Written>();
  #failing = false;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** Of all objects that there are. @throws {FaasError} when nobody takes them now */
  async write(statuses: readonly EventObjectStatus[], signal: AbortSignal): Promise<void> {
    const keys = new Set(statuses.map(declaredKey));
    for (const key of this.#written.keys()) if (!keys.has(key)) this.#written.delete(key);
    const due = statuses.filter((status) => this.#isDue(status));
    for (const page of pagesOf(due)) {
      if (signal.aborted) return;
      const outcomes = await this.#options.report(page, signal);
      for (const [place, status] of page.entries()) this.#note(status, outcomes[place]);
    }
  }

  #isDue(status: EventObjectStatus): boolean {
    const known = this.#written.get(declaredKey(status));
    if (!known) return true;
    const now = this.#options.now();
    if (now < known.againAt) return false;
    if (known.urgent !== urgentOf(status)) return true;
    return known.text !== JSON.stringify(status) && now - known.at >= QUIET_MS;
  }

  #note(status: EventObjectStatus, outcome: StatusOutcome | undefined): void {
    const at = this.#options.now();
    const isWritten = outcome?.outcome === "written" || outcome?.outcome === "same";
    const failed = { text: "", urgent: "", at, againAt: at + AGAIN_MS };
    const written = { text: JSON.stringify(status), urgent: urgentOf(status), at, againAt: 0 };
    this.#written.set(declaredKey(status), isWritten ? written : failed);
    if (outcome?.outcome === "failed") this.#tell(outcome);
    else this.#failing = false;
  }

  #tell({ kind, namespace, name, error }: StatusOutcome): void {
    const level = this.#failing ? "debug" : "warn";
    this.#failing = true;
    this.#options.log[level]({ kind, namespace, name, error }, "the status of an object could not be written");
  }
}

/** That fit into a request each, whatever is written in them. */
function* pagesOf(statuses: readonly EventObjectStatus[]): Generator<EventObjectStatus[]> {
  let page: EventObjectStatus[] = [];
  let bytes = 0;
  for (const status of statuses) {
    const more = Buffer.byteLength(JSON.stringify(status));
    if (page.length > 0 && (page.length === MAX_STATUSES || bytes + more > MAX_PAGE_BYTES)) {
      yield page;
      [page, bytes] = [[], 0];
    }
    page.push(status);
    bytes += more;
  }
  if (page.length > 0) yield page;
}

function urgentOf({ uid, generation, conditions }: EventObjectStatus): string {
  return JSON.stringify([uid, generation, conditions.map(({ type, status, reason }) => [type, status, reason])]);
}
