import { Command } from "commander";

/** `faaslane provider`: the provider alone, until it is told to stop. */
export function providerCommand(): Command {
  return new Command("provider")
    .description("Run a provider alone; settings come from the environment")
    .action(async () => {
      await import("../../provider/main.ts");
    });
}
