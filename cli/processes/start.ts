import { Command } from "commander";
import { collectYoungAlone } from "../../kit/collect-alone.ts";
import { runProcess } from "../../kit/process.ts";
import { guardTerminal } from "../printable.ts";

/** `faaslane start`: the whole platform in the foreground, until Ctrl-C. Settings come from the environment. */
export function startCommand(): Command {
  return new Command("start")
    .description(
      "Start gateway, provider and queue on this machine and deploy stack.yml; settings come from the environment",
    )
    .action(async () => {
      collectYoungAlone();
      const { openPlatform } = await import("../start/platform.ts");
      const stdout = guardTerminal(process.stdout);
      await runProcess((signal) => openPlatform(process.env, (line) => stdout.write(`${line}\n`), signal));
    });
}
