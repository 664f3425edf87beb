import type { LogMessage } from "../../../../contract/logs.ts";
import { plainLine } from "../ansi.ts";

export interface LogLine {
  /** Unique on the page. */
  readonly key: number;
  readonly at: string;
  readonly instance: string;
  readonly text: string;
}

/** What a line of the log's stream says; undefined for one that says nothing. */
export function logMessageOf(line: string): LogMessage | undefined {
  if (line.trim() === "") return undefined;
  try {
    const { timestamp, instance, text, ...rest } = JSON.parse(line) as LogMessage;
    if (typeof text !== "string") return undefined;
    return { ...rest, text, timestamp: String(timestamp ?? ""), instance: String(instance ?? "") };
  } catch {
    return undefined;
  }
}

/** The latest lines, and how many came too fast to be kept. */
export interface LogLines {
  readonly lines: readonly LogLine[];
  readonly skipped: number;
}

export const MAX_LINES = 5_000;
const MAX_PER_SECOND = 500;
const PATIENCE_MS = 3_000;

/** Takes lines as they come; those beyond what anybody can read are counted. */
export class LogBuffer {
  #lines: LogLine[] = [];
  #skipped = 0;
  #key = 0;
  #second = 0;
  #inSecond = 0;
  /** What was written before comes at once. */
  #patientUntil: number | undefined;

  /** @param now milliseconds */
  take({ timestamp, instance, text }: Pick<LogMessage, "timestamp" | "instance" | "text">, now: number): void {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    this.#patientUntil ??= now + PATIENCE_MS;
    const most = now < this.#patientUntil ? MAX_LINES : MAX_PER_SECOND;
    if (++this.#inSecond > most) {
      this.#skipped++;
      return;
    }
    this.#lines.push({ key: this.#key++, at: timestamp, instance, text: plainLine(text) });
    if (this.#lines.length > MAX_LINES * 1.2) this.#lines = this.#lines.slice(-MAX_LINES);
  }

  read(): LogLines {
    return { lines: this.#lines.slice(-MAX_LINES), skipped: this.#skipped };
  }
}

const LEVELS: Readonly<Record<string, RegExp>> = {
  error: /\b(error|fatal|panic|exception|traceback)\b|"level":\s*"?(50|60|error|fatal)/i,
  warn: /\bwarn(ing)?\b|"level":\s*"?(40|warn)/i,
};

/** Those of a level or worse, of one replica, with a text in them; each is no matter when empty. */
export function filterLines(
  lines: readonly LogLine[],
  { level, instance, text }: { readonly level: string; readonly instance: string; readonly text: string },
): readonly LogLine[] {
  const worst = level === "warn" ? [LEVELS.warn, LEVELS.error] : level === "error" ? [LEVELS.error] : [];
  const wanted = text.toLowerCase();
  return lines.filter(
    (line) =>
      (instance === "" || line.instance === instance) &&
      (wanted === "" || line.text.toLowerCase().includes(wanted)) &&
      (worst.length === 0 || worst.some((pattern) => pattern?.test(line.text))),
  );
}
