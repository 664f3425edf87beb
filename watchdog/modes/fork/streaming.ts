import type { IncomingMessage } from "node:http";
import { describeEnd, type ProcessEnd } from "../../child.ts";
import type { Exchange } from "../../exchange.ts";
import { INTERNAL_HEADER, INTERNAL_WATCHDOG } from "../mode.ts";
import { answer, buildCallEnv, type ForkDeps, failUnanswered, TEXT, watchTime } from "./call.ts";
import type { Run } from "./run.ts";
import type { PerCallConfig } from "./serializing.ts";

/** of-watchdog's streaming contract: the connection is the process's stdin and stdout, live in both directions. */
export async function handleStreaming(
  req: IncomingMessage,
  res: Exchange,
  config: PerCallConfig,
  deps: ForkDeps,
): Promise<void> {
  const env = buildCallEnv(req, res, "of-watchdog", deps.env);
  if (env === undefined) return;
  res.hold();
  try {
    const run = deps.start(config.command, env);
    const end = await stream(req, res, run, config, deps);
    if (end.kind === "exited" && end.code === 0) finish(res, config.contentType);
    else fail(res, end, config, deps);
  } finally {
    res.release();
  }
}

async function stream(
  req: IncomingMessage,
  res: Exchange,
  run: Run,
  { contentType }: PerCallConfig,
  deps: ForkDeps,
): Promise<ProcessEnd> {
  let abandon = () => {};
  const abandoned = new Promise<void>((resolve) => {
    abandon = resolve;
  });
  watchTime(res, run, deps, () => {
    deps.log.print(`Killed after exec_timeout (${deps.execTimeoutMs}ms)`);
    failUnanswered(res);
    abandon();
  });
  res.once("close", () => {
    if (res.writableFinished) return;
    // Nobody reads the output any more, so the process would only end at its next write.
    run.kill();
    abandon();
  });
  deps.log.forward(run.stderr, "stderr");
  req.pipe(run.stdin);
  run.stdout.on("data", (chunk: Buffer) => {
    if (!res.headersSent) res.writeHead(200, { "Content-Type": contentType });
    if (res.write(chunk)) return;
    run.stdout.pause();
    res.once("drain", () => run.stdout.resume());
  });
  const outputEnded = new Promise<void>((resolve) => run.stdout.once("close", resolve));
  await Promise.race([outputEnded, abandoned]);
  run.stdout.destroy();
  run.stderr.destroy();
  req.unpipe(run.stdin);
  return run.ended;
}

function finish(res: Exchange, contentType: string): void {
  if (res.destroyed || res.writableEnded) return;
  if (res.headersSent) res.end();
  else answer(res, 200, { "Content-Type": contentType }, "");
}

/** A failure after output is only in the log: what was printed was meant to be. */
function fail(res: Exchange, end: ProcessEnd, { command, contentType }: PerCallConfig, { log }: ForkDeps): void {
  const reason = describeEnd(end, command[0]);
  log.print(reason);
  const headers = end.kind === "unstarted" ? { ...TEXT, [INTERNAL_HEADER]: INTERNAL_WATCHDOG } : TEXT;
  if (res.headersSent) finish(res, contentType);
  else answer(res, 500, headers, `${reason}\n`);
}
