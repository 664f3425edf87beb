import { spawnSync } from "node:child_process";
import { Readable } from "node:stream";
import { beforeAll, expect, test } from "@jest/globals";
import type { Command } from "commander";
import { buildProgram } from "../../cli/program.ts";
import { ledgerCommand, readFilter } from "../../gateway/ui/browser/screens/events/ledger-filter.ts";
import { EMPTY_REPLAY, endReplayAct, replayAct } from "../../gateway/ui/browser/screens/events/replay-form.ts";
import {
  declareAct,
  type ResourceKind,
  removeAct,
  resumeAct,
  suspendSourceAct,
} from "../../gateway/ui/browser/screens/events/resource-acts.ts";
import { cancelRunAct, resumeRunAct, startAct } from "../../gateway/ui/browser/screens/flows/acts.ts";
import { whatIfCommand } from "../../gateway/ui/browser/screens/function/scaling/what-if-form.ts";
import { rollbackAct, rolloutAct, splitAct } from "../../gateway/ui/browser/screens/function/versions/acts.ts";
import {
  callbackAct,
  cancelAct,
  letterAct,
  matchingAct,
  purgeAct,
} from "../../gateway/ui/browser/screens/queue/acts.ts";
import { ROOT } from "./support/run-cli.ts";

const ODD = "it's <b>odd</b> $(rm) `x`";
const part = { name: "shop", namespace: "ns" };
const rollout = { from: "v1", to: "v2", step: 0 };
const KINDS: readonly ResourceKind[] = ["broker", "trigger", "source", "sink", "flow"];
const filter = readFilter(
  new URLSearchParams({
    type: ODD,
    source: "/s",
    trigger: "trigger/t",
    state: "dead",
    broker: "b",
    id: "1",
    since: "1h",
    namespace: "ns",
  }),
);
const form = { settings: { target: "5", "up-delay": "1m" }, others: "burst=3", since: "10m", start: "2s" };
const replay = { ...EMPTY_REPLAY, type: ODD, source: "/s", trigger: "trigger/t", broker: "b", state: "dead" };

/** What the dashboard shows as commands. */
const SHOWN: readonly string[] = [
  ...[letterAct("replay", "a").cli, letterAct("drop", "a").cli, cancelAct("a").cli, callbackAct("a").cli],
  ...[
    purgeAct("f.ns").cli,
    "faaslane queue",
    "faaslane queue list f -n ns --queue q --state waiting",
    "faaslane queue show a --body",
  ],
  matchingAct("drop", { function: "f.ns", since: "1h", until: "2h" }, { count: 1, more: false, until: "" }).cli,
  ...[ledgerCommand(filter, false), ledgerCommand(filter, true), "faaslane events list --function f -n ns"],
  replayAct({ ...EMPTY_REPLAY, events: ["1", "2"], name: "a" }, "ns").cli,
  replayAct({ ...replay, since: "1h", until: "1m", to: "f@v1", rate: "5", replies: true }, "ns").cli,
  ...[replayAct(EMPTY_REPLAY, undefined).cli, endReplayAct("a", "ns", true).cli],
  ...KINDS.map((kind) => declareAct({ kind, name: "a", namespace: "ns" }, { odd: ODD }, true).cli),
  ...KINDS.map((kind) => removeAct({ kind, name: "a", namespace: "ns" }).cli),
  ...(["broker", "flow"] as const).map((kind) => removeAct({ kind, name: "a", namespace: "ns" }, true).cli),
  ...(["source", "trigger"] as const).map((kind) => resumeAct({ kind, name: "a", namespace: "ns" }).cli),
  suspendSourceAct({ kind: "source", name: "a", namespace: "ns" }).cli,
  ...[startAct("order", "ns", '{"a": "b c"}').cli, cancelRunAct("r", "ns").cli, resumeRunAct("r", "ns", "s").cli],
  ...[
    "faaslane flows runs order --state failed -n ns",
    "faaslane flows show-run r -n ns",
    "faaslane flows show order -n ns",
  ],
  ...(["approve", "pause", "resume", "promote", "abort"] as const).map(
    (order) => rolloutAct(part, order, rollout, ODD).cli,
  ),
  splitAct(part, [{ version: "v1", share: 10_000, tag: "old" }], { generation: 1, reason: ODD }).cli,
  rollbackAct(part, { to: "v1", reason: ODD, detach: true }).cli,
  ...[
    "faaslane versions shop -n ns --diff v1..v2",
    "faaslane rollout status shop -n ns",
    "faaslane scaling explain shop -n ns",
  ],
  whatIfCommand(form, part, { "com.openfaas.scale.max": "5" }),
];

let program: Command;
beforeAll(async () => {
  const nowhere = { write: () => true } as unknown as NodeJS.WriteStream;
  const io = { stdout: nowhere, stderr: nowhere, stdin: Readable.from([]), env: {}, cwd: "/", home: "/" };
  program = await buildProgram("all", { ...io, sourceRoot: ROOT, version: "1.2.3", commit: "unknown" });
});

/** Words as a shell sees them. */
function wordsOf(line: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `set -- ${line}; printf '%s\\0' "$@"`], { encoding: "utf8" });
  return stdout.split("\0").slice(0, -1);
}

/** What is wrong with a command line; undefined when the command takes it. */
function problemOf(line: string): string | undefined {
  const [name, ...words] = wordsOf(line);
  if (name !== "faaslane") return `begins with ${name}`;
  let command = program;
  while (words[0] !== undefined) {
    const next = command.commands.find(
      (each) => each.name() === words[0] || each.aliases().includes(words[0] as string),
    );
    if (!next) break;
    command = next;
    words.shift();
  }
  if (command.commands.length > 0) {
    const implied = (command as unknown as { _defaultCommandName?: string })._defaultCommandName;
    command = command.commands.find((each) => each.name() === implied) ?? command;
  }
  const { operands, unknown } = command.parseOptions(words);
  if (unknown.length > 0) return `${command.name()} does not know ${unknown.join(" ")}`;
  const known = command.registeredArguments;
  const most = known.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : known.length;
  const least = known.filter(({ required }) => required).length;
  return operands.length < least || operands.length > most ? `${command.name()} got ${operands.join(" ")}` : undefined;
}

test("what the dashboard shows as a command is one", () => {
  expect(SHOWN.length).toBeGreaterThan(45);
  for (const shown of SHOWN) {
    for (const line of shown.split(/ \| (?=faaslane )/)) {
      if (line.startsWith("echo ")) expect(wordsOf(line)).toHaveLength(2);
      else expect([line, problemOf(line)]).toEqual([line, undefined]);
    }
  }
});
