import { COLUMN, COLUMNS } from "../../gateway/ui/live/columns.ts";
import { FunctionSeries } from "../../gateway/ui/live/function-series.ts";
import { SeriesBook } from "../../gateway/ui/live/series-book.ts";
import { SeriesClock } from "../../gateway/ui/live/series-clock.ts";
import { seededRandom } from "./seeded-random.ts";

/** Prints the memory that a thousand functions take after a week, a fifth of them called all the time. To be run with `--expose-gc`. */
const FUNCTIONS = 1_000;
const BUSY = 200;

const random = seededRandom(1);
const used = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const before = used();
const point = new Int32Array(COLUMNS);
const kept = Array.from({ length: FUNCTIONS }, (_, place) => {
  const series = FunctionSeries.begin(0);
  for (const ring of series.rings) {
    const { points, seconds } = ring.shape;
    for (let index = 0; index < points; index++) {
      point.fill(0);
      point[COLUMN.known] = seconds;
      point[COLUMN.replicas] = 1;
      point[COLUMN.available] = 1;
      if (place < BUSY) {
        const calls = Math.floor(random() * 10 * seconds);
        point[COLUMN.codes + 1] = calls;
        point[COLUMN.codes + 4] = random() < 0.01 ? 1 : 0;
        for (let bucket = 0; bucket < 4; bucket++) point[COLUMN.buckets + bucket] = Math.floor(calls * random() * 0.4);
        point[COLUMN.inFlight] = Math.floor(random() * 5);
      }
      ring.add(index, point);
    }
  }
  return series;
});
let now = 7 * 24 * 3600_000;
const book = new SeriesBook({ now });
book.recall(
  kept.map((series, place) => [`f${place}.fn`, series] as const),
  new SeriesClock(now),
);
kept.length = 0;
// It weighs what it has once a minute.
for (let look = 0; look < 61; look++) {
  now += 1_000;
  book.sample([], now, false);
}
const mib = (used() - before) / 1024 ** 2;
process.stdout.write(
  JSON.stringify({ functions: [...book.entries()].length - 1, mib, packed: book.bytes / 1024 ** 2 }),
);
