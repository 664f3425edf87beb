import { printableLine } from "./printable.ts";

/** Columns as wide as their widest cell, two blanks apart; each line with its newline. */
export function formatTable(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  const shown = rows.map((row) => row.map(printableLine));
  for (const row of shown) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const lines = shown.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  return lines.map((line) => `${indent}${line.trimEnd()}\n`).join("");
}

/** A number with two decimals at most. */
export function formatNumber(value: number): string {
  return String(Math.round(value * 100) / 100);
}
