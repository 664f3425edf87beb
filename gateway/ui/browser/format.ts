/** Numbers and times as people read them, by the browser's language. */
const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 2 });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });

export function formatNumber(value: number): string {
  return Math.abs(value) >= 100_000 ? compact.format(value) : plain.format(value);
}

/** As {@link formatNumber}, with what is left of small ones. */
export function formatFine(value: number): string {
  return Math.abs(value) < 10 ? fine.format(value) : formatNumber(value);
}

/** @param share 0 to 1 */
export function formatShare(share: number): string {
  return percent.format(share);
}

export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return "–";
  if (ms < 1) return `${plain.format(Math.round(ms * 100) / 100)} ms`;
  if (ms < 1_000) return `${plain.format(Math.round(ms))} ms`;
  if (ms < 120_000) return `${plain.format(ms / 1_000)} s`;
  return ms < 7_200_000 ? `${plain.format(ms / 60_000)} min` : `${plain.format(ms / 3_600_000)} h`;
}

export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${plain.format(value)} ${units[unit]}`;
}

/** e.g. `3 min ago`. */
export function formatAge(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(seconds, "second");
  if (size < 3_600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.round(seconds / 3_600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

/** With its zone: UTC, or the browser's. */
export function formatTime(at: number, zone: "utc" | "local"): string {
  return new Intl.DateTimeFormat(undefined, {
    dateStyle: "medium",
    timeStyle: "long",
    ...(zone === "utc" && { timeZone: "UTC" }),
  }).format(at);
}

const DAY_S = 86_400;

/** Of an axis that is so many seconds long. */
export function formatTick(at: number, seconds: number, zone: "utc" | "local"): string {
  return new Intl.DateTimeFormat(undefined, {
    ...(seconds > 2 * DAY_S
      ? { month: "short", day: "numeric" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    ...(zone === "utc" && { timeZone: "UTC" }),
  }).format(at);
}

/** To the millisecond, for what happens many times a second. */
export function formatClock(at: number, zone: "utc" | "local"): string {
  return new Intl.DateTimeFormat(undefined, {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    fractionalSecondDigits: 3,
    ...(zone === "utc" && { timeZone: "UTC" }),
  }).format(at);
}

/** A long name with its middle left out; the whole of it belongs into a title beside. */
export function shorten(name: string, most = 40): string {
  const chars = [...name];
  if (chars.length <= most) return name;
  const half = Math.floor((most - 1) / 2);
  return `${chars.slice(0, half).join("")}…${chars.slice(-half).join("")}`;
}
