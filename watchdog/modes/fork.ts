import type { IncomingMessage } from "node:http";
import type { ModeConfig } from "../config.ts";
import { describeThrown } from "../describe-thrown.ts";
import type { Env } from "../env.ts";
import { failCall } from "../fail-call.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import type { ForkDeps } from "./fork/call.ts";
import { CallOrphans } from "./fork/call-orphans.ts";
import { handleClassic } from "./fork/classic.ts";
import { MarkingLauncher } from "./fork/marking-launcher.ts";
import { openLauncher } from "./fork/open-launcher.ts";
import { handleSerializing } from "./fork/serializing.ts";
import { handleStreaming } from "./fork/streaming.ts";
import type { Mode } from "./mode.ts";

type ForkConfig = Extract<ModeConfig, { kind: "streaming" | "serializing" | "classic" }>;

export interface ForkModeDeps extends Omit<ForkDeps, "launcher"> {
  readonly env: Env;
}

/** The function is a program, started anew for each call. */
export async function openForkMode(config: ForkConfig, { env, ...settings }: ForkModeDeps): Promise<Mode> {
  const combineOutput = config.kind === "classic" && config.combineOutput;
  const launcher = new MarkingLauncher(await openLauncher(config.command, env, combineOutput), new CallOrphans());
  const deps: ForkDeps = { ...settings, launcher };
  const handle = chooseHandler(config);
  return {
    ready: true,
    whenReady: () => Promise.resolve(),
    handle(req, res) {
      handle(req, res, deps).catch((error: unknown) => {
        settings.log.print(`Call failed: ${describeThrown(error)}`);
        failCall(res);
      });
    },
    // Calls are over; what still runs has outlived its answer.
    close: () => Promise.resolve(launcher.close()),
    kill: () => launcher.close(),
  };
}

function chooseHandler(
  config: ForkConfig,
): (req: IncomingMessage, res: TrackedResponse, deps: ForkDeps) => Promise<void> {
  switch (config.kind) {
    case "classic":
      return (req, res, deps) => handleClassic(req, res, config, deps);
    case "serializing":
      return (req, res, deps) => handleSerializing(req, res, config, deps);
    case "streaming":
      return (req, res, deps) => handleStreaming(req, res, config, deps);
  }
}
