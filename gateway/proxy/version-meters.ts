import type { TallyReport } from "../../kit/histogram.ts";
import { FunctionMeter, type MeterReport } from "./function-meter.ts";

/** Former versions whose calls are told by themselves; older ones only count among their function's. */
const MAX_FORMER = 20;
/** Of versions that are gone while calls of theirs were under way. */
const MAX_ENDING = 20;

interface Ending {
  readonly version: string;
  readonly meter: FunctionMeter;
}

/** What the calls of a function's versions come to that none of its entries counts for the version any more. */
export class VersionMeters {
  /** Of versions that the function's own replicas once ran: a part of what the function's own meter has. */
  readonly #former = new Map<string, FunctionMeter>();
  /** Of versions beside the function that are gone. */
  readonly #gone = new Map<string, FunctionMeter>();
  /** The same, while calls of theirs may still end. */
  readonly #ending = new Set<Ending>();
  /** What the function's own meter had when its replicas began to run the present version. */
  #before = new FunctionMeter();

  /** The function's own replicas run another version from now on. @param meter the function's */
  turn(version: string, meter: FunctionMeter): void {
    countFor(this.#former, version, this.#sinceTurn(meter).read());
    this.#before = new FunctionMeter();
    this.#before.add(meter.read());
  }

  /** A version beside the function is gone. */
  retire(version: string, meter: FunctionMeter): void {
    this.#ending.add({ version, meter });
    this.#settle();
  }

  /** Calls of versions that are gone; they are in no meter of an entry. */
  *gone(): Generator<FunctionMeter> {
    yield* this.#gone.values();
    for (const { meter } of this.#ending) yield meter;
  }

  /** @param meter the function's @param main the version that it is for now @param beside meters of the versions beside it */
  byVersion(
    meter: FunctionMeter,
    main: string | undefined,
    beside: Iterable<readonly [version: string, meter: FunctionMeter]>,
  ): Map<string, FunctionMeter> {
    this.#settle();
    const counts = new Map<string, FunctionMeter>();
    if (main !== undefined) countFor(counts, main, this.#sinceTurn(meter).read());
    for (const [version, counted] of [...this.#former, ...this.#gone, ...beside]) {
      countFor(counts, version, counted.read());
    }
    for (const { version, meter: counted } of this.#ending) countFor(counts, version, counted.read());
    return counts;
  }

  #sinceTurn(meter: FunctionMeter): FunctionMeter {
    const since = new FunctionMeter();
    since.add(meter.read());
    since.add(negative(this.#before.read()));
    return since;
  }

  #settle(): void {
    for (const ending of this.#ending) {
      if (ending.meter.inFlight > 0 && this.#ending.size <= MAX_ENDING) continue;
      this.#ending.delete(ending);
      countFor(this.#gone, ending.version, ending.meter.read());
    }
    forgetOldest(this.#former);
    fold(this.#gone);
  }
}

/** For versions that are too many to be told apart. */
const OTHERS = "others";

function countFor(counts: Map<string, FunctionMeter>, version: string, report: MeterReport): void {
  const meter = counts.get(version) ?? new FunctionMeter();
  counts.delete(version); // the newest last
  counts.set(version, meter);
  meter.add(report);
}

/** Their calls are in the function's own meter still. */
function forgetOldest(former: Map<string, FunctionMeter>): void {
  for (const version of former.keys()) if (former.size > MAX_FORMER) former.delete(version);
}

function fold(gone: Map<string, FunctionMeter>): void {
  for (const [version, meter] of gone) {
    if (gone.size <= MAX_FORMER) return;
    if (version === OTHERS) continue;
    gone.delete(version);
    const others = gone.get(OTHERS) ?? new FunctionMeter();
    gone.set(OTHERS, others);
    others.add(meter.read());
  }
}

function negative({ started, ended, codes, cold, firstBytes, waits, coldStarts, mirror }: MeterReport): MeterReport {
  return {
    started: -started,
    ended: -ended,
    codes: codes.map(([code, tally]) => [code, minus(tally)] as const),
    cold: cold && minus(cold),
    firstBytes: minus(firstBytes),
    waits: waits && minus(waits),
    coldStarts: -coldStarts,
    mirror: mirror && {
      results: mirror.results.map(([result, times]) => [result, -times] as const),
      own: minus(mirror.own),
      copies: minus(mirror.copies),
    },
  };
}

function minus({ count, sum, buckets }: TallyReport): TallyReport {
  return { count: -count, sum: -sum, buckets: buckets.map((values) => -values) };
}
