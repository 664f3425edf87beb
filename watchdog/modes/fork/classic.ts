import type { IncomingMessage } from "node:http";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../../http/platform-mark.ts";
import { sniffContentType } from "../../../http/sniff.ts";
import { describeEnd } from "../../child.ts";
import type { ClassicConfig } from "../../config.ts";
import type { Log } from "../../log.ts";
import type { TrackedResponse } from "../../tracked-response.ts";
import { type BufferedOutcome, runBuffered } from "./buffered.ts";
import {
  answer,
  buildCallVariables,
  type ForkDeps,
  HEADERS_TOO_LARGE,
  isTooLargeToPass,
  OUTPUT_TOO_LARGE,
  TEXT,
} from "./call.ts";
import { buildEnvelope } from "./envelope.ts";

const METHODS = new Set(["POST", "PUT", "PATCH", "DELETE", "GET"]);
const INTERNAL = { [INTERNAL_HEADER]: INTERNAL_WATCHDOG };
/** Values of these would be secrets in a log. */
const SECRET_HEADERS = /^(authorization|proxy-authorization|cookie|set-cookie)$|token|secret|key/i;

/** The first OpenFaaS watchdog's contract: one process per call, its whole output is the answer. */
export async function handleClassic(
  req: IncomingMessage,
  res: TrackedResponse,
  config: ClassicConfig,
  deps: ForkDeps,
): Promise<void> {
  const { log } = deps;
  if (!METHODS.has(req.method as string)) {
    answer(res, 405, {}, "");
    return;
  }
  if (config.debugHeaders) printHeaders(log, "in", req.rawHeaders);
  const variables = config.cgiHeaders ? buildCallVariables(req, res, "classic") : {};
  if (variables === undefined) return;
  log.print("Forking fprocess.");
  if (config.writeDebug) printTarget(log, req.url as string);
  const buildInput = (body: Buffer) => (config.marshalRequest ? buildEnvelope(req, body) : body);
  const call = { variables, buildInput };
  const outcome = await runBuffered(req, res, call, deps);
  if (outcome === undefined) return;

  const { status, headers, body } = buildAnswer(outcome, req.headers["content-type"], config);
  const sent = status === 200 ? { ...headers, "X-Duration-Seconds": res.durationSeconds() } : headers;
  if (config.debugHeaders) printHeaders(log, "out", Object.entries(sent).flat());
  answer(res, status, sent, body);
  printOutcome(log, outcome, config, res);
}

function printTarget(log: Log, url: string): void {
  const mark = url.indexOf("?");
  log.print(`Query  ${mark === -1 ? "" : url.slice(mark + 1)}`);
  log.print(`Path  ${mark === -1 ? url : url.slice(0, mark)}`);
}

/** The lines of OpenFaaS's watchdog, which tools look for; how a call failed is part of its answer, and logged only on demand. */
function printOutcome(
  log: Log,
  outcome: BufferedOutcome,
  { command, writeDebug }: ClassicConfig,
  res: TrackedResponse,
): void {
  if (outcome.kind === "timedOut") log.print(`Killing process: ${command.join(" ")}`);
  if (outcome.kind === "outputTooLarge") log.print(OUTPUT_TOO_LARGE);
  if (outcome.kind !== "ended") return;
  const { end, output } = outcome;
  const duration = `Duration: ${res.durationSeconds()}s`;
  const succeeded = end.kind === "exited" && end.code === 0;
  if (writeDebug) {
    if (!succeeded) log.print(`Success=false, Error=${describeEnd(end, command[0])}`);
    log.copy(output);
    if (succeeded) log.print(duration);
  } else if (succeeded) log.print(`Wrote ${output.length} Bytes - ${duration}`);
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

function buildAnswer(outcome: BufferedOutcome, requestType: string | undefined, config: ClassicConfig): Answer {
  if (outcome.kind === "timedOut") return { status: 408, headers: { ...TEXT, ...INTERNAL }, body: "Killed process.\n" };
  if (outcome.kind === "outputTooLarge") {
    return { status: 500, headers: { ...TEXT, ...INTERNAL }, body: `${OUTPUT_TOO_LARGE}\n` };
  }
  const { end, output } = outcome;
  if (isTooLargeToPass(end)) return { status: 431, headers: TEXT, body: `${HEADERS_TOO_LARGE}\n` };
  if (end.kind === "exited" && end.code === 0) {
    const type = config.contentType || requestType || (output.length > 0 ? sniffContentType(output) : "");
    return { status: 200, headers: type === "" ? {} : { "Content-Type": type }, body: output };
  }
  const body = Buffer.concat([Buffer.from(`${describeEnd(end, config.command[0])}\n`), output]);
  const type = { "Content-Type": sniffContentType(body) };
  return { status: 500, headers: end.kind === "unstarted" ? { ...type, ...INTERNAL } : type, body };
}

function printHeaders(log: Log, direction: "in" | "out", raw: readonly string[]): void {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    log.print(`${direction} header ${name}: ${SECRET_HEADERS.test(name) ? "[redacted]" : raw[i + 1]}`);
  }
}
