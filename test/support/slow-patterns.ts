import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "@swc/core";

/** Regular expressions that stand in the sources below `folders`, with a file that each is in. */
export function patternsIn(root: string, folders: readonly string[]): Map<string, RegExp> {
  const found = new Map<string, RegExp>();
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const text = readFileSync(join(root, folder, name), "utf8");
      collect(parseSync(text, { syntax: "typescript", target: "es2022" }), (pattern, flags) => {
        const key = `/${pattern}/${flags}`;
        if (!found.has(key)) found.set(`${key} in ${join(folder, name)}`, new RegExp(pattern, flags));
      });
    }
  }
  return found;
}

function collect(node: unknown, take: (pattern: string, flags: string) => void): void {
  if (typeof node !== "object" || node === null) return;
  const { type, pattern, flags } = node as { type?: unknown; pattern?: unknown; flags?: unknown };
  if (type === "RegExpLiteral") take(String(pattern), String(flags));
  for (const value of Object.values(node)) collect(value, take);
}

const SHORT = 2_000;
const LONG = 8 * SHORT;
/** A linear one takes about eight times as long for the long text, a quadratic one 64 times. */
const SUSPICIOUS_FACTOR = 20;
/** Below this a measurement says nothing; the slowest linear one here takes a tenth of it. */
const SUSPICIOUS_MS = 10;
const TRIES = 10;

/**
 * A text of whose length the time that `pattern` takes is more than proportional, as far as is found by trying: one
 * character again and again, after a beginning and before an end that may make the match fail late.
 */
export function slowText(pattern: RegExp): string | undefined {
  const chars = telling(pattern.source);
  const heads = ["", ...chars, ...chars.map((char) => `a${char}`), ...chars.map((char) => `0${char}`)];
  for (const pump of chars) {
    for (const head of heads) {
      for (const tail of ["\0", "\n", ...chars]) {
        const shape = (length: number) => head + pump.repeat(length) + tail + tail;
        if (timeOf(pattern, shape(LONG)) < SUSPICIOUS_MS) continue;
        if (isSlow(pattern, shape)) return JSON.stringify([head, pump, tail]);
      }
    }
  }
  return undefined;
}

/** Best of some tries each: others use the machine too. */
function isSlow(pattern: RegExp, shape: (length: number) => string): boolean {
  const best = (text: string) => Math.min(...Array.from({ length: TRIES }, () => timeOf(pattern, text)));
  const long = best(shape(LONG));
  return long >= SUSPICIOUS_MS && long / best(shape(SHORT)) > SUSPICIOUS_FACTOR;
}

function timeOf(pattern: RegExp, text: string): number {
  const fresh = new RegExp(pattern.source, pattern.flags);
  const startedAt = performance.now();
  if (pattern.flags.includes("g")) text.replace(fresh, "");
  else fresh.test(text);
  return performance.now() - startedAt;
}

/** Characters that the parts of a pattern may stand for. */
function telling(source: string): string[] {
  const literal = source.replace(/\\[dswDSWbBpuxk]/g, "").replace(/[\\^$()[\]{}?*+|]/g, "");
  return [...new Set(["a", "0", " ", "\n", "-", ".", ...[...literal].filter((char) => /[^a-zA-Z0-9]/.test(char))])];
}
