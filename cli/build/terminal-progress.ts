import { Listr } from "listr2";
import type { Io } from "../io.ts";
import { printable, printableLine } from "../printable.ts";
import type { BuildOutcome } from "./build-functions.ts";
import { type BuildProgress, describeOutcome } from "./progress.ts";

/** Kept of a function's output, to be shown should its build fail. */
const TAIL_LINES = 40;

interface Running {
  readonly finished: PromiseWithResolvers<BuildOutcome>;
  readonly tail: string[];
  show: (line: string) => void;
}

/**
 * For a process whose standard output is a terminal, which the renderer writes to by itself. A line per function with a spinner and the latest output below it; the last output of failed builds at the
 * end.
 */
export function createTerminalProgress(
  names: readonly string[],
  { stdout, cwd }: Pick<Io, "stdout" | "cwd">,
): BuildProgress {
  const running = new Map<string, Running>(
    names.map((name) => [name, { finished: Promise.withResolvers<BuildOutcome>(), tail: [], show: () => {} }]),
  );
  const of = (name: string) => running.get(name) as Running;
  const tasks = new Listr(
    names.map((name) => ({
      title: printableLine(name),
      task: async (_context, task) => {
        of(name).show = (line) => {
          task.output = line;
        };
        const outcome = await of(name).finished.promise;
        const told = printable(describeOutcome(outcome, cwd));
        if (outcome.kind === "skipped") task.skip(told);
        if (outcome.kind === "failed") throw new Error(told);
        task.title = told;
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      renderer: "default",
      rendererOptions: { collapseErrors: false },
    },
  );
  const rendered = tasks.run();
  return {
    started: () => {},
    log(name, line) {
      const { tail, show } = of(name);
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      show(printable(line));
    },
    finished: (outcome) => of(outcome.name).finished.resolve(outcome),
    async settled() {
      await rendered;
      for (const [name, { finished, tail }] of running) {
        const { kind } = await finished.promise;
        if (kind === "failed") for (const line of tail) stdout.write(printable(`${name} | ${line}\n`));
      }
    },
  };
}
