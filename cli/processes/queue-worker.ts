import { Command } from "commander";

/** `faaslane queue-worker`: a queue worker alone, until a signal stops it. */
export function queueWorkerCommand(): Command {
  return new Command("queue-worker")
    .description("Run a queue worker alone; settings come from the environment")
    .action(async () => {
      await import("../../gateway/process/queue-worker/main.ts");
    });
}
