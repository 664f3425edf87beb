import { Command } from "commander";

/** `faaslane watchdog`: serves one function, as inside its container. */
export function watchdogCommand(): Command {
  return new Command("watchdog")
    .description("Serve one function; settings come from the environment")
    .action(async () => {
      await import("../../watchdog/main.ts");
    });
}
