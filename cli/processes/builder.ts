import { Command } from "commander";

/** `faaslane builder`: makes images of what is sent to it, until a signal stops it. */
export function builderCommand(): Command {
  return new Command("builder")
    .description("Run a builder of images with OpenFaaS's builder API; settings come from the environment")
    .action(async () => {
      await import("../../builder/main.ts");
    });
}
