import { Command } from "commander";

/** `faaslane registry`: a registry for images alone, until a signal stops it. */
export function registryCommand(): Command {
  return new Command("registry")
    .description("Run a registry for images alone; settings come from the environment")
    .action(async () => {
      await import("../../registry/main.ts");
    });
}
