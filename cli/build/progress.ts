import { relative } from "node:path";
import { describeError } from "../errors.ts";
import type { Io } from "../io.ts";
import type { BuildObserver, BuildOutcome } from "./build-functions.ts";

export interface BuildProgress extends BuildObserver {
  /** Resolves once all that was reported has been shown. */
  settled(): Promise<void>;
}

/** How one outcome reads. */
export function describeOutcome(outcome: BuildOutcome, cwd: string): string {
  switch (outcome.kind) {
    case "built":
      return `${outcome.name}: built ${outcome.image} in ${seconds(outcome.durationMs)}`;
    case "laidOut":
      return `${outcome.name}: shrink-wrapped to ${relative(cwd, outcome.folder)}`;
    case "skipped":
      return `${outcome.name}: not built, ${outcome.reason}`;
    case "failed":
      return `${outcome.name}: build failed: ${describeError(outcome.error)}`;
  }
}

/** Lines for files and pipes: every line of output carries the name of its function. */
export function createPlainProgress({ stdout, cwd }: Pick<Io, "stdout" | "cwd">, quiet: boolean): BuildProgress {
  const print = (line: string) => void stdout.write(`${line}\n`);
  return {
    started: (name) => print(`${name}: building`),
    log: (name, line) => {
      if (!quiet) print(`${name} | ${line}`);
    },
    finished: (outcome) => print(describeOutcome(outcome, cwd)),
    settled: async () => {},
  };
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
