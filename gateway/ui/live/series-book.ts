import type { FunctionMeter } from "../../proxy/function-meter.ts";
import { addFunction, BUCKETS, CODE_CLASSES, COLUMN, COLUMNS, FIRST_GAUGE } from "./columns.ts";
import { FunctionSeries, type RecentRate } from "./function-series.ts";
import { SeriesClock } from "./series-clock.ts";
import type { StepRing } from "./step-ring.ts";

/** A function, as far as it is counted. */
export interface SampledFunction {
  /** `name.namespace`. */
  readonly qualifiedName: string;
  readonly namespace: string;
  readonly wholeMeter: Pick<FunctionMeter, "codes" | "ended" | "inFlight" | "coldStarts">;
  readonly held: { readonly count: number };
  readonly snapshot: { readonly replicas: number };
  readonly readyReplicas: number;
}

/** What a function's replicas take together. */
export interface SeenUsage {
  /** Thousandths of a processor. */
  readonly cpu?: number | undefined;
  readonly totalMemoryBytes?: number | undefined;
}

export interface SeriesBookOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Of packed points, over all functions: the oldest go when there are more. Default 18 MiB. */
  readonly maxBytes?: number;
}

interface Kept {
  readonly series: FunctionSeries;
  /** What was counted by the last look: a number for each column before {@link FIRST_GAUGE}. */
  readonly counts: number[];
  ended: number;
  coldStarts: number;
  /** The look that it was last seen at. */
  look: number;
  usage: { readonly cpu: number; readonly memory: number; readonly until: number } | undefined;
}

/** Of all functions together; those of a namespace are kept by its name with this before it. No function's name begins so. */
export const ALL = ".";

const MAX_BYTES = 18 * 1024 ** 2;
const NO_RATE: RecentRate = { rate: 0, errors: 0, p95Ms: undefined, spark: new Array<number>(15).fill(0) };
/** Looks that come late have what was counted spread over the time since the last one; after a longer pause it is not known when that was. */
const MAX_SPREAD_S = 10;
const WEIGH_EVERY = 60;
/** What was measured is taken to hold for so long. */
const USAGE_HOLDS_S = 12;
const MIB = 1024 ** 2;

/**
 * What became of each function's calls over a week, in memory. Looked at once a second: calls themselves cost nothing, and a function
 * that is not called a few comparisons.
 */
export class SeriesBook {
  readonly #maxBytes: number;
  readonly #kept = new Map<string, Kept>();
  /** Of the second that is looked at. */
  readonly #sums = new Map<string, Int32Array>();
  readonly #point = new Int32Array(COLUMNS);
  #clock: SeriesClock;
  #looks = 0;

  constructor({ now, maxBytes = MAX_BYTES }: SeriesBookOptions) {
    this.#maxBytes = maxBytes;
    this.#clock = new SeriesClock(now);
  }

  get clock(): Readonly<SeriesClock> {
    return this.#clock;
  }

  /**
   * Takes what all functions have counted by now.
   * @param complete whether these are all there are: others are forgotten
   */
  sample(functions: Iterable<SampledFunction>, now: number, complete = true): void {
    const passed = this.#clock.tick(now);
    if (passed === 0) return;
    const spread = passed <= MAX_SPREAD_S ? passed : 1;
    const look = ++this.#looks;
    const taken: [kept: Kept, namespace: string, counted: number[]][] = [];
    for (const counted of functions) {
      const kept = this.#keptOf(counted.qualifiedName);
      kept.look = look;
      taken.push([kept, counted.namespace, takeCounts(kept, counted)]);
    }
    for (let part = 0; part < spread; part++) {
      const second = this.#clock.second - spread + 1 + part;
      for (const [kept, namespace, counted] of taken) {
        this.#fill(counted, part, spread, kept.usage);
        kept.series.add(second, this.#point);
        addFunction(this.#sumOf(ALL + namespace), this.#point);
      }
      this.#addSums(second, look);
    }
    if (complete) for (const [name, { look: seenAt }] of this.#kept) if (seenAt !== look) this.#kept.delete(name);
    if (look % WEIGH_EVERY === 0) this.#shed();
  }

  #keptOf(name: string): Kept {
    let kept = this.#kept.get(name);
    if (!kept) {
      kept = keep(FunctionSeries.begin(this.#clock.second));
      this.#kept.set(name, kept);
    }
    return kept;
  }

  #fill(counted: readonly number[], part: number, spread: number, usage: Kept["usage"]): void {
    const point = this.#point;
    for (let column = 0; column < COLUMNS; column++) {
      const value = counted[column] ?? 0;
      const isCount = column < FIRST_GAUGE && spread > 1;
      point[column] = isCount ? Math.floor((value * (part + 1)) / spread) - Math.floor((value * part) / spread) : value;
    }
    point[COLUMN.known] = 1;
    const isFresh = usage !== undefined && usage.until >= this.#clock.second;
    point[COLUMN.cpu] = isFresh ? usage.cpu : 0;
    point[COLUMN.memory] = isFresh ? usage.memory : 0;
  }

  #sumOf(key: string): Int32Array {
    let sum = this.#sums.get(key);
    if (!sum) {
      sum = new Int32Array(COLUMNS);
      this.#sums.set(key, sum);
    }
    return sum;
  }

  #addSums(second: number, look: number): void {
    const all = new Int32Array(COLUMNS);
    all[COLUMN.known] = 1;
    for (const [key, sum] of this.#sums) {
      if ((sum[COLUMN.known] as number) === 0) {
        this.#sums.delete(key);
        continue;
      }
      this.#addSum(key, second, sum, look);
      addFunction(all, sum);
      sum.fill(0);
    }
    this.#addSum(ALL, second, all, look);
  }

  #addSum(key: string, second: number, sum: Int32Array, look: number): void {
    const kept = this.#keptOf(key);
    kept.look = look;
    kept.series.add(second, sum);
  }

  /** What was measured of a function holds for a moment. */
  measured(name: string, { cpu, totalMemoryBytes }: SeenUsage): void {
    const kept = this.#kept.get(name);
    if (!kept) return;
    kept.usage = {
      // Thousandths of a processor are tenths of a percent.
      cpu: cpu === undefined ? 0 : Math.round(cpu) + 1,
      memory: totalMemoryBytes === undefined ? 0 : Math.round((totalMemoryBytes * 10) / MIB) + 1,
      until: this.#clock.second + USAGE_HOLDS_S,
    };
  }

  has(key: string): boolean {
    return this.#kept.has(key);
  }

  recent(name: string): RecentRate {
    return this.#kept.get(name)?.series.recent(this.#clock.second) ?? NO_RATE;
  }

  /** @param seconds of a step, one of those that are kept */
  ring(key: string, seconds: number): StepRing | undefined {
    return this.#kept.get(key)?.series.rings.find(({ shape }) => shape.seconds === seconds);
  }

  /** What the packed points take, roughly. */
  get bytes(): number {
    let bytes = 0;
    for (const { series } of this.#kept.values()) for (const ring of series.rings) bytes += ring.bytes;
    return bytes;
  }

  #shed(): void {
    let bytes = this.bytes;
    while (bytes > this.#maxBytes) {
      const rings = [...this.#kept.values()].map(({ series }) => series.rings.at(-1) as StepRing);
      const oldest = rings.reduce((first, ring) => Math.min(first, ring.first), Number.POSITIVE_INFINITY);
      const shed = rings.filter((ring) => ring.first <= oldest && ring.shed());
      if (shed.length === 0) return;
      bytes = this.bytes;
    }
  }

  /** All that is kept, by key. */
  entries(): Iterable<readonly [key: string, series: FunctionSeries]> {
    return [...this.#kept].map(([key, { series }]) => [key, series] as const);
  }

  /** Begins with what was kept before, by a clock of that time. */
  recall(kept: Iterable<readonly [key: string, series: FunctionSeries]>, clock: SeriesClock): void {
    this.#clock = clock;
    for (const [key, series] of kept) this.#kept.set(key, keep(series));
  }
}

function keep(series: FunctionSeries): Kept {
  return {
    series,
    counts: new Array<number>(FIRST_GAUGE).fill(0),
    ended: 0,
    coldStarts: 0,
    look: 0,
    usage: undefined,
  };
}

/** What has come since the last look, and what is now, by column. */
function takeCounts(kept: Kept, counted: SampledFunction): number[] {
  const { wholeMeter, held, snapshot, readyReplicas } = counted;
  const point = new Array<number>(COLUMNS).fill(0);
  point[COLUMN.inFlight] = Math.max(0, wholeMeter.inFlight);
  point[COLUMN.held] = held.count;
  point[COLUMN.replicas] = snapshot.replicas;
  point[COLUMN.available] = readyReplicas;
  if (wholeMeter.ended === kept.ended && wholeMeter.coldStarts === kept.coldStarts) return point;
  // Counts begin anew where their keeper has.
  if (wholeMeter.ended < kept.ended) kept.counts.fill(0);
  kept.ended = wholeMeter.ended;
  kept.coldStarts = wholeMeter.coldStarts;
  const now = new Array<number>(FIRST_GAUGE).fill(0);
  now[COLUMN.cold] = wholeMeter.coldStarts;
  for (const [code, tally] of wholeMeter.codes) {
    add(now, COLUMN.codes + classOf(code), tally.count);
    for (let bucket = 0; bucket < BUCKETS; bucket++) add(now, COLUMN.buckets + bucket, tally.buckets[bucket] ?? 0);
  }
  for (let column = 0; column < FIRST_GAUGE; column++) {
    point[column] = Math.max(0, (now[column] as number) - (kept.counts[column] as number));
    kept.counts[column] = now[column] as number;
  }
  return point;
}

function add(numbers: number[], place: number, value: number): void {
  numbers[place] = (numbers[place] as number) + value;
}

/** Place of a status code's class. */
function classOf(code: number): number {
  const hundreds = Math.floor(code / 100);
  return hundreds >= 1 && hundreds < CODE_CLASSES.length ? hundreds - 1 : CODE_CLASSES.length - 1;
}
