import { Command } from "commander";

/** `faaslane watchdog`: serves one function, as inside its container; the bundle that functions run is used. */
export function watchdogCommand(): Command {
  return new Command("watchdog")
    .description("Serve one function; settings come from the environment")
    .action(async () => {
      await import(new URL("../../dist/watchdog.mjs", import.meta.url).href);
    });
}
