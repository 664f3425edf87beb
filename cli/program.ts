import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, type CommanderError } from "commander";
import { moduleUrl } from "../kit/module-url.ts";
import { GatewayError } from "./client/gateway-error.ts";
import { CliError, describeError, SilentFailure } from "./errors.ts";
import { EXAMPLES } from "./examples.ts";
import { HINTED, hintFor } from "./hints.ts";
import { type Io, isDebug } from "./io.ts";
import { normalizeArguments } from "./normalize-arguments.ts";
import { guardTerminal } from "./printable.ts";

interface Entry {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly load: (io: Io) => Promise<Command>;
}

/** Loaded only when named, so that each command pays for its own modules alone. */
const CLIENT: readonly Entry[] = [
  {
    name: "new",
    summary: "create a function from a template",
    load: async (io) => (await import("./commands/new.ts")).newCommand(io),
  },
  {
    name: "build",
    summary: "build functions",
    load: async (io) => (await import("./commands/build.ts")).buildCommand(io),
  },
  {
    name: "publish",
    summary: "build images without a container engine and push them",
    load: async (io) => (await import("./commands/publish.ts")).publishCommand(io),
  },
  {
    name: "deploy",
    summary: "deploy functions",
    load: async (io) => (await import("./commands/deploy.ts")).deployCommand(io),
  },
  {
    name: "up",
    summary: "build and deploy functions",
    load: async (io) => (await import("./commands/up.ts")).upCommand(io),
  },
  {
    name: "list",
    aliases: ["ls"],
    summary: "list functions",
    load: async (io) => (await import("./commands/list.ts")).listCommand(io),
  },
  {
    name: "describe",
    summary: "show one function",
    load: async (io) => (await import("./commands/describe.ts")).describeCommand(io),
  },
  {
    name: "invoke",
    summary: "call a function with what comes on standard input",
    load: async (io) => (await import("./commands/invoke.ts")).invokeCommand(io),
  },
  {
    name: "queue",
    summary: "manage asynchronous calls",
    load: async (io) => (await import("./commands/queue.ts")).queueCommand(io),
  },
  {
    name: "events",
    summary: "send events, ask what has become of them, and send them again",
    load: async (io) => (await import("./commands/events.ts")).eventsCommand(io),
  },
  {
    name: "brokers",
    summary: "declare brokers, and show what they keep",
    load: async (io) => (await import("./commands/resources.ts")).resourcesCommand(io, "broker"),
  },
  {
    name: "triggers",
    summary: "declare who gets which events, and show how that goes",
    load: async (io) => (await import("./commands/resources.ts")).resourcesCommand(io, "trigger"),
  },
  {
    name: "sources",
    summary: "declare where events come from, and show how that goes",
    load: async (io) => (await import("./commands/resources.ts")).resourcesCommand(io, "source"),
  },
  {
    name: "sinks",
    summary: "declare where events go outside, and show how that goes",
    load: async (io) => (await import("./commands/resources.ts")).resourcesCommand(io, "sink"),
  },
  {
    name: "flows",
    summary: "declare what follows events step by step, and look at its runs",
    load: async (io) => (await import("./commands/flows.ts")).flowsCommand(io),
  },
  {
    name: "scaling",
    summary: "explain and simulate how functions are scaled",
    load: async (io) => (await import("./commands/scaling.ts")).scalingCommand(io),
  },
  {
    name: "calls",
    summary: "show the latest calls of a function, and where their time went",
    load: async (io) => (await import("./commands/calls.ts")).callsCommand(io),
  },
  {
    name: "versions",
    summary: "show a function's versions, and what is different between two",
    load: async (io) => (await import("./commands/versions.ts")).versionsCommand(io),
  },
  {
    name: "traffic",
    summary: "show or set which versions of a function get its calls",
    load: async (io) => (await import("./commands/traffic.ts")).trafficCommand(io),
  },
  {
    name: "rollback",
    summary: "give all calls to an earlier version of a function",
    load: async (io) => (await import("./commands/rollback.ts")).rollbackCommand(io),
  },
  {
    name: "rollout",
    summary: "follow and decide how a new version gets its calls",
    load: async (io) => (await import("./commands/rollout.ts")).rolloutCommand(io),
  },
  {
    name: "promote",
    summary: "give all calls to the version that is being rolled out",
    load: async (io) => (await import("./commands/rollout.ts")).actionCommand(io, "promote"),
  },
  {
    name: "abort",
    summary: "end a rollout and go back to the version before",
    load: async (io) => (await import("./commands/rollout.ts")).actionCommand(io, "abort"),
  },
  {
    name: "routes",
    summary: "show and set domains and paths that lead to functions",
    load: async (io) => (await import("./commands/routes.ts")).routesCommand(io),
  },
  {
    name: "logs",
    summary: "show what a function has written",
    load: async (io) => (await import("./commands/logs.ts")).logsCommand(io),
  },
  {
    name: "remove",
    aliases: ["rm", "delete"],
    summary: "remove functions",
    load: async (io) => (await import("./commands/remove.ts")).removeCommand(io),
  },
  {
    name: "diff",
    summary: "show what a deploy of the stack file would change",
    load: async (io) => (await import("./commands/diff.ts")).diffCommand(io),
  },
  {
    name: "generate",
    summary: "print the stack file's functions as Kubernetes objects",
    load: async (io) => (await import("./commands/generate.ts")).generateCommand(io),
  },
  {
    name: "local-run",
    summary: "run one function in a container of this machine",
    load: async (io) => (await import("./commands/local-run.ts")).localRunCommand(io),
  },
  {
    name: "config",
    summary: "show what stack file, flags and environment come to",
    load: async (io) => (await import("./commands/config.ts")).configCommand(io),
  },
  {
    name: "prune",
    summary: "remove images that no function uses",
    load: async (io) => (await import("./commands/prune.ts")).pruneCommand(io),
  },
  {
    name: "ready",
    summary: "wait until the gateway or a function is ready",
    load: async (io) => (await import("./commands/ready.ts")).readyCommand(io),
  },
  {
    name: "template",
    summary: "fetch templates from repositories and from the store",
    load: async (io) => (await import("./commands/template.ts")).templateCommand(io),
  },
  {
    name: "store",
    summary: "find and deploy functions that others have made",
    load: async (io) => (await import("./commands/store.ts")).storeCommand(io),
  },
  {
    name: "secret",
    summary: "manage secrets",
    load: async (io) => (await import("./commands/secret.ts")).secretCommand(io),
  },
  {
    name: "namespace",
    aliases: ["namespaces"],
    summary: "manage namespaces",
    load: async (io) => (await import("./commands/namespace.ts")).namespaceCommand(io),
  },
  {
    name: "login",
    summary: "store the credentials of a gateway",
    load: async (io) => (await import("./commands/login.ts")).loginCommand(io),
  },
  {
    name: "logout",
    summary: "forget the credentials of a gateway",
    load: async (io) => (await import("./commands/logout.ts")).logoutCommand(io),
  },
  {
    name: "version",
    summary: "show the versions of client, gateway and provider",
    load: async (io) => (await import("./commands/version.ts")).versionCommand(io),
  },
  {
    name: "completion",
    summary: "print a script that completes commands in bash, zsh or fish",
    load: async (io) =>
      (await import("./commands/completion.ts")).completionCommand(io, async () => await buildProgram("all", io)),
  },
];

/** Commands that run a process of the platform: `processes/<name>.ts` exports `<camelName>Command()`. */
const PROCESSES: readonly (readonly [name: string, summary: string])[] = [
  ["start", "run the whole platform on this machine, in the foreground"],
  ["gateway", "run a gateway"],
  ["provider", "run a provider"],
  ["queue-worker", "run a queue worker"],
  ["event-worker", "run an event worker"],
  ["registry", "run a registry for images"],
  ["builder", "run a builder of images"],
  ["watchdog", "run a watchdog"],
];

/**
 * Runs one command line.
 * @param argv without the executable and the script
 * @returns the exit code: 0, or 1 when anything failed; commands that wait for a rollout have others
 */
export async function runCli(argv: readonly string[], given: Io): Promise<number> {
  // Inherits what it does not have: standard input is opened by who asks for it.
  const io: Io = Object.create(given, {
    stdout: { value: guardTerminal(given.stdout), enumerable: true },
    stderr: { value: guardTerminal(given.stderr), enumerable: true },
  });
  try {
    const program = await buildProgram(argv, io);
    await program.parseAsync(normalizeArguments(argv, program), { from: "user" });
    return 0;
  } catch (error) {
    if (isUsageError(error)) return error.exitCode;
    if (error instanceof Error && error.name === SILENT_FAILURE) return (error as SilentFailure).exitCode;
    reportError(error, argv, io);
    return 1;
  }
}

/** One line, whatever was thrown; where it came from only when debugging. */
function reportError(error: unknown, argv: readonly string[], io: Io): void {
  const given = (...flags: readonly string[]) => flags.some((flag) => argv.includes(flag));
  const message = describeError(error);
  const code = error instanceof GatewayError ? error.answeredCode : undefined;
  if (given("-j", "--json")) io.stderr.write(`${JSON.stringify({ code, message })}\n`);
  else if (code !== undefined && (given("-v", "--verbose") || isDebug(io))) {
    io.stderr.write(`Error: ${message} (${code})\n`);
  } else io.stderr.write(`Error: ${message}\n`);
  if (isDebug(io)) io.stderr.write(`${error instanceof Error ? (error.stack ?? "") : ""}\n`);
}

// By name: in the package, client and processes have copies of their own of what both import.
const SILENT_FAILURE = new SilentFailure().name;

function isUsageError(error: unknown): error is CommanderError {
  return error instanceof Error && error.name === "CommanderError";
}

/** @param argv names the commands to load; `all` loads each */
export async function buildProgram(argv: readonly string[] | "all", io: Io): Promise<Command> {
  const program = new Command("faaslane")
    .description("Functions as a service: client and platform.")
    .version(argv.includes("--version") ? describeVersion(io) : io.version, "--version", "print release and commit")
    .option("-f, --yaml <file>", "stack file, a path or URL (default: stack.yaml, then stack.yml)")
    .option("--filter <glob>", "only the functions whose name matches")
    .option("--regex <pattern>", "only the functions whose name matches the expression")
    // So that a command may give `-f` a meaning of its own.
    .enablePositionalOptions()
    .showHelpAfterError("(faaslane help <command> shows how it is used)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "Error: ")),
    });

  const entries = [...processEntries(), ...CLIENT];
  for (const entry of entries) {
    const { name, aliases = [], summary } = entry;
    // Any word that names a command counts, be it an argument: loading one too many does no harm.
    const named = argv === "all" || argv.some((word) => word === name || aliases.includes(word));
    const command = named ? await entry.load(io) : new Command(name);
    adopt(program, command.description(summary).aliases([...aliases]));
  }
  addExamples(program, "");
  if (argv !== "all" && argv.some((word) => HINTED.includes(word))) {
    program.on("command:*", ([name = ""]: string[]) => {
      throw new CliError(`there is no command ${name}: ${hintFor(name) ?? "faaslane --help shows all"}`);
    });
  }
  return program;
}

/** Release and commit of this client in one line. */
export function describeVersion({ version, commit }: Pick<Io, "version" | "commit">): string {
  return `faaslane ${version} (commit ${commit})`;
}

function addExamples(command: Command, path: string): void {
  const lines = EXAMPLES[path]?.map((line) => `  ${line}\n`) ?? [];
  if (lines.length > 0)
    command.addHelpText("after", `\n${lines.length > 1 ? "Examples" : "Example"}:\n${lines.join("")}`);
  for (const child of command.commands) addExamples(child, `${path} ${child.name()}`.trim());
}

/** Adds `command` with everything below it, under the program's way to write and to end. */
function adopt(parent: Command, command: Command): void {
  inherit(parent, command);
  parent.addCommand(command);
}

function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(command, child);
}

function processEntries(): Entry[] {
  return PROCESSES.flatMap(([name, summary]) => {
    const url = moduleUrl(`./processes/${name}`, import.meta.url);
    if (!existsSync(fileURLToPath(url))) return [];
    return [{ name, summary, load: async () => await loadProcess(name, url) }];
  });
}

async function loadProcess(name: string, url: URL): Promise<Command> {
  const exported = (await import(url.href)) as Readonly<Record<string, unknown>>;
  const maker = exported[`${name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())}Command`];
  if (typeof maker !== "function") throw new CliError(`the command ${name} is not part of this installation`);
  return maker() as Command;
}
