import { describeError } from "../errors.ts";
import type { Io } from "../io.ts";

type Outcome = { readonly kind: string; readonly name: string; readonly error?: unknown };

/** A line on standard error for every function that failed. @returns whether there was any */
export function reportFailures({ stderr }: Pick<Io, "stderr">, outcomes: readonly Outcome[]): boolean {
  const failed = outcomes.filter(({ kind }) => kind === "failed");
  for (const { name, error } of failed) stderr.write(`Error: ${name}: ${describeError(error)}\n`);
  return failed.length > 0;
}
