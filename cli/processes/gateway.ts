import { Command } from "commander";

/** `faaslane gateway`: the gateway alone, until it is told to stop. */
export function gatewayCommand(): Command {
  return new Command("gateway")
    .description("Run a gateway alone; settings come from the environment")
    .action(async () => {
      await import("../../gateway/process/main.ts");
    });
}
