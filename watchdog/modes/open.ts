import type { WatchdogConfig } from "../config.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Env } from "../env.ts";
import type { Log } from "../log.ts";
import { openForkMode } from "./fork.ts";
import { openHttpMode } from "./http.ts";
import { loadHandler, openInproc } from "./inproc.ts";
import type { Mode } from "./mode.ts";
import { openStaticMode } from "./static.ts";

export interface ModeDeps {
  readonly env: Env;
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly onFailure: (message: string) => void;
}

/**
 * Starts the function the way `mode` says.
 * @throws when an in-process handler cannot be loaded
 */
export async function openMode(config: WatchdogConfig, deps: ModeDeps): Promise<Mode> {
  const { mode, execTimeoutMs, writeTimeoutMs, maxBodyBytes } = config;
  switch (mode.kind) {
    case "inproc": {
      const timeoutMs = execTimeoutMs === 0 ? writeTimeoutMs : Math.min(execTimeoutMs, writeTimeoutMs);
      return openInproc(await loadHandler(mode.handler), {
        deadlines: deps.deadlines,
        print: deps.log.print,
        timeoutMs,
      });
    }
    case "static":
      return openStaticMode(mode, { ...deps, writeTimeoutMs, print: deps.log.print });
    case "http":
      return openHttpMode(mode, { ...deps, execTimeoutMs, writeTimeoutMs, maxBodyBytes });
    default:
      return openForkMode(mode, {
        ...deps,
        execTimeoutMs,
        writeTimeoutMs,
        maxBodyBytes,
      });
  }
}
