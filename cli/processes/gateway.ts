import { Command } from "commander";

/** `faaslane gateway`: the gateway alone, until a signal stops it. */
export function gatewayCommand(): Command {
  return new Command("gateway")
    .description("Run a gateway alone; settings come from the environment")
    .action(async () => {
      await import("../../gateway/process/main.ts");
    });
}
