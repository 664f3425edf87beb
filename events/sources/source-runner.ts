import { isDeepStrictEqual } from "node:util";
import { sleep } from "../../kit/sleep.ts";
import type { DeclaredSource, SourceSet } from "./declared-source.ts";
import type { AnswerRequest, SourceStatus, SourceType } from "./source.ts";
import { removeCursor } from "./source-cursor.ts";
import { SourceReport } from "./source-report.ts";
import { SourceRun, type SourceRunDeps } from "./source-run.ts";
import type { SourceStatuses } from "./source-statuses.ts";

/** Whether this process is the one that runs what only one may run. */
export interface SourceLead {
  acts(): boolean;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}

/** A process that is alone always acts. */
export const ALWAYS_ACTS: SourceLead = { acts: () => true, onChange: () => () => {} };

export interface SourceRunnerOptions extends SourceRunDeps {
  readonly sets: readonly SourceSet[];
  readonly lead: SourceLead;
  /** Whether sources that answer requests run here, and the others. */
  readonly runs: { readonly receiving: boolean; readonly fetching: boolean };
  /** Where other processes tell what they know; absent when there are none. */
  readonly statuses?: SourceStatuses;
}

/** A source, and how it is here. */
export interface KnownSource {
  readonly source: DeclaredSource;
  readonly status: SourceStatus;
}

/** An old run that does not end is not waited for any longer before the new one begins. */
const END_MS = 30_000;

/** Longest wait for a source that was just declared, and how often it is looked at. */
const KNOWN_MS = 2_000;
const LOOK_MS = 10;

interface Entry {
  source: DeclaredSource;
  readonly report: SourceReport;
  run: SourceRun | undefined;
  /** Of the run before. */
  ended: Promise<void>;
}

/** Runs the declared sources in this process, as far as they are to run here. */
export class SourceRunner {
  readonly #options: SourceRunnerOptions;
  readonly #entries = new Map<string, Entry>();
  /** Those that are declared no more, and have not ended. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #ends: (() => void)[];
  #closed = false;
  #looking: Promise<void> = Promise.resolve();
  #lookAgain = false;

  constructor(options: SourceRunnerOptions) {
    this.#options = options;
    const look = () => this.#look();
    this.#ends = [...options.sets.map((set) => set.onChange(look)), options.lead.onChange(look)];
    if (options.statuses) this.#ends.push(options.statuses.follow(() => this.#running()));
    this.#look();
  }

  /** All that are declared. */
  all(): readonly KnownSource[] {
    return [...this.#entries.values()].map(({ source, report }) => ({ source, status: report.status }));
  }

  /** @param id e.g. `source/NAMESPACE/NAME` */
  find(id: string): KnownSource | undefined {
    const entry = this.#entries.get(id);
    return entry && { source: entry.source, status: entry.report.status };
  }

  /** What answers requests to the address of a source; undefined when there is none, or not yet. */
  receiver(namespace: string, name: string): AnswerRequest | undefined {
    return this.#entries.get(`source/${namespace}/${name}`)?.run?.answer;
  }

  /** Resolves once everything that was declared when it began is known. */
  async ready(): Promise<void> {
    await Promise.all(this.#options.sets.map(({ ready }) => ready));
    await this.settled();
  }

  /**
   * Waits until a source is known as it is declared now, and takes requests if it is one that does; but not for long, as
   * it may be broken, or somebody may have changed it again.
   */
  async whenKnown(source: DeclaredSource): Promise<void> {
    const isKnown = () => {
      const entry = this.#entries.get(source.id);
      const state = entry?.report.status.state;
      return isDeepStrictEqual(entry?.source, source) && (state !== "connecting" || entry?.run?.answer !== undefined);
    };
    const deadline = performance.now() + KNOWN_MS;
    while (!this.#closed && !isKnown() && performance.now() < deadline) await sleep(LOOK_MS);
  }

  /** Resolves once everything that was declared up to now has been started or stopped. */
  async settled(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#looking; ) {
      seen = this.#looking;
      await seen;
    }
  }

  /** Ends all runs; waits for them for at most `END_MS`. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#ends.splice(0)) end();
    await this.#looking;
    await this.#options.statuses?.tell(this.#running());
    await Promise.all([...this.#leaving.values(), ...[...this.#entries.values()].map((entry) => this.#stop(entry))]);
  }

  #running(): readonly KnownSource[] {
    return [...this.#entries.values()]
      .filter(({ run }) => run !== undefined)
      .map(({ source, report }) => ({ source, status: report.status }));
  }

  /** Changes are looked at one after another; several at once are looked at as one. */
  #look(): void {
    if (this.#closed || this.#lookAgain) return;
    this.#lookAgain = true;
    this.#looking = this.#looking.then(async () => {
      this.#lookAgain = false;
      await this.#reconcile();
    });
  }

  async #reconcile(): Promise<void> {
    const declared = new Map(this.#options.sets.flatMap(({ all }) => all).map((source) => [source.id, source]));
    for (const [id, entry] of this.#entries) {
      if (declared.has(id)) continue;
      this.#entries.delete(id);
      const gone = this.#forget(entry).finally(() => {
        if (this.#leaving.get(id) === gone) this.#leaving.delete(id);
      });
      this.#leaving.set(id, gone);
    }
    const acts = this.#options.lead.acts();
    for (const source of declared.values()) {
      const type = await this.#options.types.load(source.type).catch(() => undefined);
      // Closed while a type was loaded.
      if (this.#closed) return;
      this.#adjust(source, this.#runsHere(type, acts));
    }
  }

  /** One whose type nobody knows is told of by the one who leads. */
  #runsHere(type: SourceType | undefined, acts: boolean): boolean {
    const { runs } = this.#options;
    if (type?.receives) return runs.receiving;
    return runs.fetching && (acts || type?.shared === true);
  }

  #adjust(source: DeclaredSource, runsHere: boolean): void {
    const known = this.#entries.get(source.id);
    const entry = known ?? {
      source,
      report: new SourceReport(this.#options.now),
      run: undefined,
      ended: this.#leaving.get(source.id) ?? Promise.resolve(),
    };
    if (!known) this.#entries.set(source.id, entry);
    const isSame = isDeepStrictEqual(entry.source, source);
    entry.source = source;
    if (entry.run && runsHere && isSame) return;
    if (entry.run) void this.#stop(entry);
    if (runsHere) entry.report.is("connecting");
    if (runsHere) entry.run = new SourceRun(source, entry.report, this.#options, entry.ended);
    else entry.report.is("elsewhere");
  }

  /** A function of the same name that is deployed later begins anew; documents' cursors go with the documents. */
  async #forget(entry: Entry): Promise<void> {
    const { id } = entry.source;
    const ranHere = entry.run !== undefined;
    await this.#stop(entry);
    if (!ranHere || !id.startsWith("function/")) return;
    await removeCursor(this.#options.resources, id).catch((err: unknown) => {
      this.#options.log.warn({ err, source: id }, "the cursor of a source that is gone could not be removed");
    });
  }

  async #stop(entry: Entry): Promise<void> {
    if (!entry.run) return await entry.ended;
    const stopped = entry.run.stop();
    entry.run = undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_MS);
    });
    entry.ended = Promise.race([stopped, late]).finally(() => clearTimeout(timer));
    await entry.ended;
  }
}
