import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { FaasError } from "../../../contract/errors.ts";
import type { CronSettings } from "../../cron/cron-settings.ts";
import { dueTicks, nextDue, type Tick } from "../../cron/due-ticks.ts";
import type { SourceContext, SourceEvent } from "../source.ts";

/** Up to when the clock has been followed. */
interface Progress {
  readonly until: number;
  /** Schedules that this is about: times of others were not missed. */
  readonly of: readonly string[];
  /** The event of the last tick. */
  readonly last?: string | undefined;
}

/** Times that wait to be stored. */
const MAX_DUE = 1_000;

/** Emits the ticks of schedules as they become due, one after another. */
export class ClockFollower {
  readonly #settings: CronSettings;
  readonly #context: SourceContext;
  readonly #eventOf: (tick: Tick) => SourceEvent;
  readonly #schedules: readonly string[];
  #progress: Progress | undefined;
  #lookedUntil: number | undefined;
  /** Found, and not emitted yet: those of one time together, the oldest first. */
  #due: (readonly Tick[])[] = [];

  constructor(settings: CronSettings, context: SourceContext, eventOf: (tick: Tick) => SourceEvent) {
    this.#settings = settings;
    this.#context = context;
    this.#eventOf = eventOf;
    this.#schedules = settings.schedules.map(({ text }) => text);
  }

  /**
   * Emits what is due by now.
   * @returns when to look again, in milliseconds since 1970; undefined when nothing will ever be due
   * @throws {FaasError} when a tick cannot be stored; it is due still
   */
  async step(): Promise<number | undefined> {
    const now = this.#context.now();
    this.#progress ??= await this.#load(now);
    this.#findDue(now, this.#progress.until);
    for (let ticks = this.#due[0]; ticks !== undefined; ticks = this.#due[0]) {
      const readyAt = plannedAt(ticks) + this.#delayOf(plannedAt(ticks));
      if (readyAt > now) return readyAt;
      await this.#emit(ticks);
      this.#due.shift();
    }
    const next = nextDue(this.#settings, now);
    return next === undefined ? undefined : next + this.#delayOf(next);
  }

  /** What was found due stays so until it is stored, however late it becomes. */
  #findDue(now: number, until: number): void {
    const lookedUntil = this.#lookedUntil ?? until;
    if (now < lookedUntil) {
      // The clock was set back. What was emitted already is known by its id.
      this.#due = this.#due.filter((ticks) => plannedAt(ticks) <= now);
    } else {
      this.#due.push(...together(dueTicks(this.#settings, lookedUntil, now)));
      // What cannot be stored for so long is too much to be made up for.
      this.#due = this.#due.slice(-MAX_DUE);
    }
    this.#lookedUntil = now;
  }

  async #emit(ticks: readonly Tick[]): Promise<void> {
    const before = this.#progress as Progress;
    const planned = plannedAt(ticks);
    let { last } = before;
    if (this.#settings.overlap === "skip" && last !== undefined && (await this.#context.isOpen(last))) {
      const { namespace, name, log } = this.#context;
      log.info(
        { namespace, name, plannedAt: new Date(planned).toISOString() },
        "a tick is skipped: the last is not over",
      );
    } else {
      const appended = await this.#context.emit(ticks.map(this.#eventOf));
      last = appended.at(-1)?.ref ?? last;
    }
    await this.#save({ ...before, until: planned, last });
  }

  async #load(now: number): Promise<Progress> {
    const saved = parseProgress(await this.#context.cursor.load());
    if (saved && isDeepStrictEqual(saved.of, this.#schedules)) return saved;
    const fresh = { until: now, of: this.#schedules };
    await this.#save(fresh);
    return fresh;
  }

  /** Where two follow the clock by mistake, both go on from where the other has come. */
  async #save(progress: Progress): Promise<void> {
    try {
      await this.#context.cursor.save(JSON.stringify(progress));
      this.#progress = progress;
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind !== "conflict") throw error;
      const other = parseProgress(await this.#context.cursor.load());
      const isAhead = other !== undefined && other.until > progress.until && isDeepStrictEqual(other.of, progress.of);
      this.#progress = isAhead ? other : progress;
    }
  }

  /** Depends on the source and the time alone, so that it is the same after a restart, and another for another source. */
  #delayOf(planned: number): number {
    const { jitterMs } = this.#settings;
    if (jitterMs === 0) return 0;
    const { namespace, name } = this.#context;
    const digest = createHash("sha256").update(`${namespace}/${name}/${planned}`).digest();
    return Math.floor((digest.readUInt32BE(0) / 2 ** 32) * jitterMs);
  }
}

/** Ticks of one time, in one list: they are stored together, so that one time says what has been emitted. */
function together(ticks: readonly Tick[]): Tick[][] {
  const lists: Tick[][] = [];
  for (const tick of ticks) {
    const list = lists.at(-1);
    if (list?.[0]?.plannedAt === tick.plannedAt) list.push(tick);
    else lists.push([tick]);
  }
  return lists;
}

function plannedAt(ticks: readonly Tick[]): number {
  return (ticks[0] as Tick).plannedAt;
}

function parseProgress(text: string | undefined): Progress | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    const { until, of, last } = JSON.parse(text);
    return typeof until === "number" && Array.isArray(of)
      ? { until, of, ...(typeof last === "string" && { last }) }
      : undefined;
  } catch {
    return undefined; // of another type of source
  }
}
