/** Where on the page, and which value. */
export type Point = readonly [x: number, value: number];

export interface PanelOptions {
  readonly top: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  /** From 0 upwards. */
  readonly ticks: readonly number[];
  readonly times: readonly { readonly x: number; readonly label: string }[];
  /** Whether the times are written below. */
  readonly labelled: boolean;
}

/** The axes of one panel, and where its values are. */
export function panel(options: PanelOptions): { readonly svg: string; readonly y: (value: number) => number } {
  const { top, height, left, right, ticks, times, labelled } = options;
  const bottom = top + height;
  const most = ticks.at(-1) ?? 1;
  const y = (value: number) => bottom - (value / most) * height;
  const rows = ticks.map((tick) => {
    const at = round(y(tick));
    const line = `<line class="${tick === 0 ? "axis" : "grid"}" x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`;
    return `${line}<text x="${left - 8}" y="${at + 4}" text-anchor="end">${tick}</text>`;
  });
  const columns = times.map((time) => {
    const at = round(time.x);
    const mark = `<line class="axis" x1="${at}" y1="${bottom}" x2="${at}" y2="${bottom + 4}"/>`;
    return mark + (labelled ? `<text x="${at}" y="${bottom + 19}" text-anchor="middle">${time.label}</text>` : "");
  });
  return { svg: [...rows, ...columns].join("\n"), y };
}

const THIN_FROM = 4000;
const BUCKET_PX = 0.5;

/** Of very many points the first, least, largest and last of each half pixel: the picture stays the same. */
export function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= THIN_FROM) return points;
  const kept: Point[] = [];
  let bucket: Point[] = [];
  const flush = () => {
    const by = [...bucket].sort(([, a], [, b]) => a - b);
    const keep = new Set([bucket[0], by[0], by.at(-1), bucket.at(-1)]);
    kept.push(...bucket.filter((point) => keep.has(point)));
  };
  for (const point of points) {
    if (bucket[0] && Math.floor(point[0] / BUCKET_PX) !== Math.floor(bucket[0][0] / BUCKET_PX)) {
      flush();
      bucket = [];
    }
    bucket.push(point);
  }
  flush();
  return kept;
}

export function linePath(points: readonly Point[], y: (value: number) => number): string {
  return points.map(([x, value], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y(value))}`).join("");
}

/** A value stands until the next one. */
export function stepPath(points: readonly Point[], y: (value: number) => number): string {
  let before: number | undefined;
  const parts: string[] = [];
  for (const [i, [x, value]] of points.entries()) {
    if (i === 0) parts.push(`M${round(x)} ${round(y(value))}`);
    else if (value !== before) parts.push(`H${round(x)}V${round(y(value))}`);
    else if (i === points.length - 1) parts.push(`H${round(x)}`);
    before = value;
  }
  return parts.join("");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
