const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
const PART = /^(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/;

const MAX_CHARS = 200;

/** @returns milliseconds of a duration as in Go (`1m30s`, `250ms`), undefined for anything else, negative ones included */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > MAX_CHARS) return undefined;
  let rest = text;
  let totalMs = 0;
  while (rest !== "") {
    const part = PART.exec(rest);
    if (!part) return undefined;
    totalMs += Number(part[1]) * (UNIT_MS[part[3] as string] as number);
    rest = rest.slice(part[0].length);
  }
  return text === "" ? undefined : totalMs;
}

/** Milliseconds as a person writes them: `1h30m`, `45s`, `250ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  return parts.map(([value, unit]) => (value > 0 ? `${value}${unit}` : "")).join("");
}
