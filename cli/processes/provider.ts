import { Command } from "commander";

/** `faaslane provider`: the provider alone, until a signal stops it. */
export function providerCommand(): Command {
  return new Command("provider")
    .description("Run a provider alone; settings come from the environment")
    .action(async () => {
      await import("../../provider/main.ts");
    });
}
