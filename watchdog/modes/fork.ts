import type { IncomingMessage } from "node:http";
import type { Command, ModeConfig } from "../config.ts";
import type { Env } from "../env.ts";
import type { Exchange } from "../exchange.ts";
import type { ForkDeps } from "./fork/call.ts";
import { handleClassic } from "./fork/classic.ts";
import { type Run, runProcess } from "./fork/run.ts";
import { handleSerializing } from "./fork/serializing.ts";
import { handleStreaming } from "./fork/streaming.ts";
import type { Mode } from "./mode.ts";

type ForkConfig = Extract<ModeConfig, { kind: "streaming" | "serializing" | "classic" }>;

/** The function is a program, started anew for each call. */
export function openForkMode(config: ForkConfig, settings: Omit<ForkDeps, "start">): Mode {
  const running = new Set<Run>();
  const start = (command: Command, env: Env): Run => {
    const run = runProcess(command, env);
    running.add(run);
    void run.ended.then(() => running.delete(run));
    return run;
  };
  const deps: ForkDeps = { ...settings, start };
  const handle = chooseHandler(config);
  const killAll = () => {
    for (const run of running) run.kill();
  };
  return {
    ready: true,
    whenReady: () => Promise.resolve(),
    handle(req, res) {
      handle(req, res, deps).catch((error: Error) => {
        settings.log.print(`Call failed: ${error.stack}`);
        res.destroy();
      });
    },
    // Calls are over; what still runs had outlived its answer.
    close: () => Promise.resolve(killAll()),
    kill: killAll,
  };
}

function chooseHandler(config: ForkConfig): (req: IncomingMessage, res: Exchange, deps: ForkDeps) => Promise<void> {
  switch (config.kind) {
    case "classic":
      return (req, res, deps) => handleClassic(req, res, config, deps);
    case "serializing":
      return (req, res, deps) => handleSerializing(req, res, config, deps);
    case "streaming":
      return (req, res, deps) => handleStreaming(req, res, config, deps);
  }
}
