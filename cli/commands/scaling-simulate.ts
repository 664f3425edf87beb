import { readFile, stat, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { recordedTotals } from "../../gateway/core/scaling/recorded-totals.ts";
import { simulate } from "../../gateway/core/scaling/simulate.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError } from "../errors.ts";
import { type Io, readAll, writeOut } from "../io.ts";
import { parsePairs } from "../key-values.ts";
import { formatSimulation } from "../scaling/format-simulation.ts";
import { renderPlot } from "../scaling/plot.ts";
import { parseHistory } from "../scaling/read-history.ts";
import { policyOf } from "../scaling/settings.ts";
import { collectValues } from "./options.ts";
import { wantsJson } from "./output-format.ts";

interface Flags {
  readonly from: string;
  readonly set?: readonly string[];
  readonly startTime: string;
  readonly svg?: string;
  readonly output?: string;
}

/** The gateway's own pace. */
const TICK_MS = 2000;
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_START_MS = 3600_000;

/** `faaslane scaling simulate`; needs no gateway. */
export function simulateCommand(io: Io): Command {
  const command = new Command("simulate")
    .description("decide again over a recorded history, as if the function had other settings")
    .requiredOption("--from <file>", "history as `scaling history` writes it; - reads standard input")
    .option(
      "--set <name=value>",
      "a setting, e.g. target=20, type=capacity, zero=true, down-delay=1m; repeatable",
      collectValues,
    )
    .option("--start-time <duration>", "how long a replica takes to be ready", "1s")
    .option("--svg <file>", "write a plot")
    .option("-o, --output <format>", "text or json", "text");
  return command.action(async () => {
    const flags = command.opts<Flags>();
    const asJson = wantsJson(flags.output);
    const policy = policyOf(parsePairs("--set", flags.set));
    const startMs = parseDurationFlag("--start-time", flags.startTime);
    if (startMs > MAX_START_MS) throw new CliError("--start-time must be at most 1h");
    const history = parseHistory(await readInput(io, flags.from));
    const simulation = simulate(history, { policy, startMs, tickMs: TICK_MS });
    const recorded = recordedTotals(history, policy);
    if (flags.svg !== undefined) {
      const title = `Simulated: ${(flags.set ?? []).join(", ") || "default settings"}`;
      const points = simulation.seconds;
      const svg = renderPlot({ title, loadName: `Load (${policy.type})`, points, recorded: history });
      await writeFile(resolve(io.cwd, flags.svg), svg);
    }
    if (policy.prewarm) io.stderr.write("Note: prewarm needs days of calls and is not simulated\n");
    const json = () => `${JSON.stringify({ policy, simulated: simulation, recorded }, null, 2)}\n`;
    await writeOut(io.stdout, asJson ? json() : formatSimulation(simulation, recorded, policy.type));
  });
}

async function readInput(io: Io, file: string): Promise<string> {
  if (file === "-") return (await readAll(io.stdin, MAX_BYTES)).toString("utf8");
  const path = resolve(io.cwd, file);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new CliError(`cannot read ${file}: ${(cause as Error).message}`, { cause });
  });
  if (size > MAX_BYTES) throw new CliError(`${file} is larger than ${MAX_BYTES} bytes`);
  return await readFile(path, "utf8");
}
