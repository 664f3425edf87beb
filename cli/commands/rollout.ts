import { Command } from "commander";
import type { ROLLOUT_ACTIONS } from "../../contract/versions/requests.ts";
import type { RolloutState } from "../../contract/versions/rollout-state.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { exitByPhase, followRollout } from "../versions/follow-rollout.ts";
import { formatRollout, summarizeRollout } from "../versions/format.ts";
import {
  addVersionOptions,
  connectVersions,
  printJson,
  type VersionFlags,
  type VersionsConnection,
} from "./connect-versions.ts";

type Action = (typeof ROLLOUT_ACTIONS)[number];

const SUMMARIES: Readonly<Record<Action, string>> = {
  promote: "give all calls to the new version now",
  approve: "go on past the step that waits for it",
  pause: "stay where it is",
  resume: "go on after a pause",
  abort: "give all calls back to the version before",
};
const EXITS = "exit code 0 when it is done, 2 when it was aborted, 3 when it waits for approval";

/** `faaslane rollout status|promote|approve|pause|resume|abort NAME` */
export function rolloutCommand(io: Io): Command {
  const rollout = new Command("rollout");
  rollout.addCommand(statusCommand(io));
  for (const action of Object.keys(SUMMARIES) as Action[]) {
    rollout.addCommand(actionCommand(io, action).description(SUMMARIES[action]));
  }
  return rollout;
}

interface StatusFlags extends VersionFlags {
  readonly watch?: boolean;
}

function statusCommand(io: Io): Command {
  const command = new Command("status")
    .description("where a rollout is, its numbers and what comes next")
    .argument("<name>", "the function")
    .option("--watch", "tell each change until it has ended")
    .option("--wait", `until it has ended or waits for somebody; ${EXITS}`);
  addVersionOptions(command);
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<StatusFlags>();
    const connection = await connectVersions(io, name, flags);
    if (flags.watch || flags.wait) {
      await follow(io, name, connection, flags);
      return;
    }
    const { rollout, generation } = await connection.client.rollout(connection.fn);
    if (flags.json) printJson(io, { generation, ...(rollout && { rollout }) });
    else if (rollout) io.stdout.write(formatRollout(name, rollout, Date.now()));
    else io.stdout.write(`${noneOf(name)}\n`);
  });
}

function noneOf(name: string): string {
  return `${name} has had no rollout; a deploy with the annotation com.faaslane.rollout begins one`;
}

async function follow(io: Io, name: string, { client, fn }: VersionsConnection, flags: StatusFlags): Promise<void> {
  const quiet = flags.json === true && !flags.watch;
  const report = (rollout: RolloutState) => {
    if (quiet) return;
    io.stdout.write(flags.json ? `${JSON.stringify(rollout)}\n` : `${name}: ${summarizeRollout(rollout)}\n`);
  };
  const rollout = await followRollout(client, fn, { report, throughPauses: flags.watch === true, signal: io.signal });
  if (!rollout) throw new CliError(noneOf(name));
  if (quiet) printJson(io, rollout);
  exitByPhase(rollout);
}

/** `faaslane rollout ACTION NAME`, also without `rollout`. */
export function actionCommand(io: Io, action: Action): Command {
  const command = new Command(action)
    .argument("<name>", "the function")
    .option("--reason <text>", "for the history")
    .option("--wait", `until it has ended or waits for somebody; ${EXITS}`);
  addVersionOptions(command);
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<VersionFlags>();
    const connection = await connectVersions(io, name, flags);
    const { client, fn } = connection;
    // Approval is for the step that its sender has seen.
    const step = action === "approve" ? (await client.rollout(fn)).rollout?.step : undefined;
    await client.act(fn, {
      action,
      ...(step !== undefined && { step }),
      ...(flags.reason && { reason: flags.reason }),
    });
    if (flags.wait) {
      await followTo(io, name, connection, flags, action);
      return;
    }
    const listed = await client.rollout(fn);
    if (flags.json) printJson(io, listed);
    else if (listed.rollout) io.stdout.write(`${name}: ${summarizeRollout(listed.rollout)}\n`);
  });
}

/** Who aborts a rollout wants it aborted, and who pauses one paused. */
async function followTo(
  io: Io,
  name: string,
  connection: VersionsConnection,
  flags: VersionFlags,
  action: Action,
): Promise<void> {
  try {
    await follow(io, name, connection, flags);
  } catch (error) {
    const { rollout } = await connection.client.rollout(connection.fn);
    const wanted = { abort: "aborted", pause: "paused" }[action as string];
    if (wanted === undefined || rollout?.phase !== wanted) throw error;
  }
}
