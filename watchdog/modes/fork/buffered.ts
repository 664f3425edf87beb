import type { IncomingMessage } from "node:http";
import { collectBody, readBody } from "../../body.ts";
import { type ProcessEnd, withoutRemark } from "../../child.ts";
import type { DeadlineList, Deadlines, Expiring } from "../../deadlines.ts";
import type { TrackedResponse } from "../../tracked-response.ts";
import { abandon, answer, type ForkDeps, TEXT, watchTime } from "./call.ts";
import type { Run, TakenOutput } from "./launch.ts";

/** How a call that was read whole, run and collected came out. */
export type BufferedOutcome =
  | { readonly kind: "ended"; readonly end: ProcessEnd; readonly output: Buffer }
  | { readonly kind: "timedOut" }
  | { readonly kind: "outputTooLarge" };

export interface BufferedCall {
  readonly variables: Readonly<Record<string, string>>;
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
  res: TrackedResponse,
  call: BufferedCall,
  deps: ForkDeps,
): Promise<BufferedOutcome | undefined> {
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

async function runWith(
  input: Buffer,
  res: TrackedResponse,
  call: BufferedCall,
  deps: ForkDeps,
): Promise<BufferedOutcome> {
  const timedOut = Promise.withResolvers<BufferedOutcome>();
  watchTime(res, deps, () => timedOut.resolve({ kind: "timedOut" }));
  const launched = deps.launcher.launch({ variables: call.variables, input });
  const outcome = await Promise.race([collectOutcome(launched, deps), timedOut.promise]);
  // What the process left behind may hold its output open; nobody reads it any more.
  if (outcome.kind !== "ended") abandon(launched);
  return outcome;
}

async function collectOutcome(launched: Promise<Run>, deps: ForkDeps): Promise<BufferedOutcome> {
  const run = await launched;
  const outcome = await collect(run, deps);
  if (!run.hasRemark || outcome.kind !== "ended" || outcome.end.kind !== "signalled") return outcome;
  return { ...outcome, output: withoutRemark(outcome.output, outcome.end) };
}

async function collect(run: Run, deps: ForkDeps): Promise<BufferedOutcome> {
  if (run.stderr !== undefined) deps.log.forward(run.stderr, "stderr");
  const quick = await takeQuickly(run, deps);
  if (quick !== undefined) return { kind: "ended", ...quick };
  const read = await collectBody(run.stdout, deps.maxBodyBytes);
  if (read.kind === "tooLarge") return { kind: "outputTooLarge" };
  const end = await run.ended;
  return { kind: "ended", end, output: read.kind === "read" ? read.body : Buffer.alloc(0) };
}

/** A program that takes longer is watched, lest it fill its pipe and wait. */
const QUICK_MS = 25;
/** One that prints a lot fills it sooner. */
const FIRST_LOOK_MS = 3;

/** The output of a program that ends soon and prints little, as most do; undefined when it is to be read as a stream. */
async function takeQuickly(
  run: Run,
  { maxBodyBytes, deadlines }: ForkDeps,
): Promise<{ readonly end: ProcessEnd; readonly output: Buffer } | undefined> {
  const { takeOutput, ended } = run;
  if (takeOutput === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<ProcessEnd | undefined>();
  let output: TakenOutput = "nothing";
  const take = () => {
    if (output === "nothing") output = takeOutput(maxBodyBytes);
    if (output === "streamed") resolve(undefined);
  };
  const patience = new Patience(deadlines, take, () => resolve(undefined));
  void ended.then(resolve);
  const end = await promise;
  patience.end();
  if (end !== undefined) take();
  return typeof output === "string" ? undefined : { end: await ended, output };
}

/** Two moments of a call, which wait in the lists of all calls: timers of its own would cost a call as much as its output. */
class Patience implements Expiring {
  expiresAt = 0;
  earlier: Expiring | null = null;
  later: Expiring | null = null;
  waitsIn: DeadlineList | null = null;
  readonly #deadlines: Deadlines;
  readonly #look: () => void;
  readonly #giveUp: () => void;
  #hasLooked = false;

  /** @param look is called after `FIRST_LOOK_MS`, `giveUp` after `QUICK_MS` */
  constructor(deadlines: Deadlines, look: () => void, giveUp: () => void) {
    this.#deadlines = deadlines;
    this.#look = look;
    this.#giveUp = giveUp;
    deadlines.start(this, FIRST_LOOK_MS, performance.now());
  }

  expire(): void {
    if (this.#hasLooked) {
      this.#giveUp();
      return;
    }
    this.#hasLooked = true;
    this.#deadlines.start(this, QUICK_MS - FIRST_LOOK_MS, performance.now());
    this.#look();
  }

  end(): void {
    this.#deadlines.stop(this);
  }
}
