import { parentPort } from "node:worker_threads";
import { CliError } from "../../cli/errors.ts";
import { parseStack } from "../../cli/stack/parse.ts";

/** How a text was parsed. */
export interface Parsed {
  /** What was wrong beside the file itself, if anything. */
  readonly problem?: string | undefined;
  /** Milliseconds of a processor. */
  readonly cpuMs: number;
}

/** Parses what it is sent as a stack file. */
parentPort?.on("message", (text: string) => {
  const before = process.threadCpuUsage();
  let problem: string | undefined;
  try {
    parseStack(text, { file: "stack.yml", env: { A: "a", EMPTY: "" } });
  } catch (error) {
    if (!(error instanceof CliError)) problem = `${(error as Error).stack}`;
  }
  const { user, system } = process.threadCpuUsage(before);
  parentPort?.postMessage({ problem, cpuMs: (user + system) / 1000 } satisfies Parsed);
});
