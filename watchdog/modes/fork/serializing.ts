import type { IncomingMessage } from "node:http";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../../http/platform-mark.ts";
import { describeEnd } from "../../child.ts";
import type { Command } from "../../config.ts";
import type { TrackedResponse } from "../../tracked-response.ts";
import { type BufferedOutcome, runBuffered } from "./buffered.ts";
import {
  answer,
  buildCallVariables,
  type ForkDeps,
  HEADERS_TOO_LARGE,
  isTooLargeToPass,
  OUTPUT_TOO_LARGE,
} from "./call.ts";

export interface PerCallConfig {
  readonly command: Command;
  readonly contentType: string;
}

/** of-watchdog's buffered contract: like classic, but a failure's output is not shown, and types are fixed. */
export async function handleSerializing(
  req: IncomingMessage,
  res: TrackedResponse,
  { command, contentType }: PerCallConfig,
  deps: ForkDeps,
): Promise<void> {
  const variables = buildCallVariables(req, res, "of-watchdog");
  if (variables === undefined) return;
  const outcome = await runBuffered(req, res, { variables, buildInput: (body) => body }, deps);
  if (outcome === undefined) return;

  const { status, internal, body } = describeOutcome(outcome, command[0]);
  if (status !== 200) deps.log.print(String(body));
  const headers = { "Content-Type": contentType, "X-Duration-Seconds": res.durationSeconds() };
  answer(res, status, internal ? { ...headers, [INTERNAL_HEADER]: INTERNAL_WATCHDOG } : headers, body);
}

/** `internal`: the answer is ours, not the function's. */
function describeOutcome(
  outcome: BufferedOutcome,
  program: string,
): { readonly status: number; readonly internal: boolean; readonly body: string | Buffer } {
  if (outcome.kind === "timedOut") return { status: 500, internal: true, body: "signal: killed" };
  if (outcome.kind === "outputTooLarge") return { status: 500, internal: true, body: OUTPUT_TOO_LARGE };
  const { end, output } = outcome;
  if (isTooLargeToPass(end)) return { status: 431, internal: true, body: HEADERS_TOO_LARGE };
  if (end.kind === "exited" && end.code === 0) return { status: 200, internal: false, body: output };
  return { status: 500, internal: end.kind === "unstarted", body: describeEnd(end, program) };
}
