import { Command } from "commander";

/** `faaslane event-worker`: an event worker alone, until a signal stops it. */
export function eventWorkerCommand(): Command {
  return new Command("event-worker")
    .description("Run an event worker alone; settings come from the environment")
    .action(async () => {
      await import("../../gateway/process/event-worker/main.ts");
    });
}
