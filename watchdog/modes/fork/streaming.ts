import type { IncomingMessage } from "node:http";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../../../http/platform-mark.ts";
import { describeEnd, type ProcessEnd } from "../../child.ts";
import { closed } from "../../pipes.ts";
import type { TrackedResponse } from "../../tracked-response.ts";
import {
  abandon,
  answer,
  buildCallVariables,
  type ForkDeps,
  failUnanswered,
  HEADERS_TOO_LARGE,
  isTooLargeToPass,
  TEXT,
  watchTime,
} from "./call.ts";
import type { Run } from "./launch.ts";
import type { PerCallConfig } from "./serializing.ts";

/** of-watchdog's streaming contract: the connection is the process's stdin and stdout, live in both directions. */
export async function handleStreaming(
  req: IncomingMessage,
  res: TrackedResponse,
  config: PerCallConfig,
  deps: ForkDeps,
): Promise<void> {
  const variables = buildCallVariables(req, res, "of-watchdog");
  if (variables === undefined) return;
  res.hold();
  try {
    const abandoned = Promise.withResolvers<undefined>();
    watchTime(res, deps, () => {
      if (res.writableEnded) return;
      deps.log.print(`Killed after exec_timeout (${deps.execTimeoutMs}ms)`);
      failUnanswered(res);
      abandoned.resolve(undefined);
    });
    // Nobody reads the output any more, so the process would only end at its next write.
    res.once("close", () => abandoned.resolve(undefined));
    const launched = deps.launcher.launch({ variables, input: req });
    const end = await Promise.race([passOn(launched, res, config, deps), abandoned.promise]);
    if (end === undefined) abandon(launched);
    else if (end.kind === "exited" && end.code === 0) finish(res, config.contentType);
    else fail(res, end, config, deps);
  } finally {
    res.release();
  }
}

/** Sends each part of the output as it comes. */
async function passOn(
  launched: Promise<Run>,
  res: TrackedResponse,
  { contentType }: PerCallConfig,
  { log }: ForkDeps,
): Promise<ProcessEnd> {
  const { stdout, stderr, ended } = await launched;
  if (stderr !== undefined) log.forward(stderr, "stderr");
  stdout.on("data", (chunk: Buffer) => {
    if (!res.headersSent) res.writeHead(200, { "Content-Type": contentType });
    if (res.write(chunk)) return;
    stdout.pause();
    res.once("drain", () => stdout.resume());
  });
  await closed(stdout);
  return ended;
}

function finish(res: TrackedResponse, contentType: string): void {
  if (res.destroyed || res.writableEnded) return;
  if (res.headersSent) res.end();
  else answer(res, 200, { "Content-Type": contentType }, "");
}

/** A failure after output is only in the log: what was printed was meant to be. */
function fail(res: TrackedResponse, end: ProcessEnd, { command, contentType }: PerCallConfig, { log }: ForkDeps): void {
  const reason = describeEnd(end, command[0]);
  log.print(reason);
  const headers = end.kind === "unstarted" ? { ...TEXT, [INTERNAL_HEADER]: INTERNAL_WATCHDOG } : TEXT;
  if (res.headersSent) finish(res, contentType);
  else if (isTooLargeToPass(end)) answer(res, 431, TEXT, `${HEADERS_TOO_LARGE}\n`);
  else answer(res, 500, headers, `${reason}\n`);
}
