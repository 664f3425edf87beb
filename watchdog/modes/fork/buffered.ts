import type { IncomingMessage } from "node:http";
import { collect, readBody } from "../../body.ts";
import type { ProcessEnd } from "../../child.ts";
import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import type { Exchange } from "../../exchange.ts";
import { answer, type ForkDeps, TEXT, watchTime } from "./call.ts";

/** How a call that was read whole, run and collected came out. */
export type Outcome =
  | { readonly kind: "ended"; readonly end: ProcessEnd; readonly output: Buffer }
  | { readonly kind: "timedOut" }
  | { readonly kind: "outputTooLarge" };

export interface BufferedCall {
  readonly command: Command;
  readonly env: Env;
  /** stderr is part of the output; otherwise it is logged. */
  readonly combineOutput: boolean;
  /** What the process gets to read. */
  readonly buildInput: (body: Buffer) => Buffer;
}

/**
 * Reads the request, runs the process to its end and collects what it printed.
 * A caller that leaves does not stop it: its work may matter without the answer.
 * @returns undefined when there was nothing to run: the request was refused, or cut short by the caller
 */
export async function runBuffered(
  req: IncomingMessage,
  res: Exchange,
  call: BufferedCall,
  deps: ForkDeps,
): Promise<Outcome | undefined> {
  const read = await readBody(req, deps.maxBodyBytes);
  if (read.kind === "tooLarge") {
    answer(res, 413, TEXT, `The request body is larger than ${deps.maxBodyBytes} bytes (max_body_bytes)\n`);
    return undefined;
  }
  if (read.kind === "aborted") return undefined;

  res.hold();
  try {
    return await runWith(call.buildInput(read.body), res, call, deps);
  } finally {
    res.release();
  }
}

async function runWith(input: Buffer, res: Exchange, call: BufferedCall, deps: ForkDeps): Promise<Outcome> {
  const run = deps.start(call.command, call.env);
  const timedOut = new Promise<Outcome>((resolve) => watchTime(res, run, deps, () => resolve({ kind: "timedOut" })));
  run.stdin.end(input);
  const output = [collect(run.stdout, deps.maxBodyBytes)];
  if (call.combineOutput) output.push(collect(run.stderr, deps.maxBodyBytes));
  else deps.log.forward(run.stderr, "stderr");

  const finished = Promise.all(output).then(async (reads): Promise<Outcome> => {
    if (reads.some((read) => read.kind === "tooLarge")) {
      run.kill();
      return { kind: "outputTooLarge" };
    }
    const parts = reads.map((read) => (read.kind === "read" ? read.body : Buffer.alloc(0)));
    return { kind: "ended", end: await run.ended, output: Buffer.concat(parts) };
  });
  const outcome = await Promise.race([finished, timedOut]);
  // What the process left behind may hold its output open; nobody reads it any more.
  if (outcome.kind !== "ended") {
    run.stdout.destroy();
    run.stderr.destroy();
  }
  return outcome;
}
