import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { runCli } from "../../../cli/program.ts";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether somebody sits there who can be asked. */
  readonly terminal?: boolean;
  /** Whether the output is shown by a terminal. */
  readonly screen?: boolean;
  /** Interrupts it. */
  readonly signal?: AbortSignal;
}

/** A folder of files that goes away with its test. */
export interface Workspace extends AsyncDisposable {
  readonly path: string;
}

export async function makeWorkspace(files: Readonly<Record<string, string>> = {}): Promise<Workspace> {
  const path = await mkdtemp(join(tmpdir(), "faaslane-cli-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The command line in this process, with a home, environment and streams of its own. */
export async function runHere(args: readonly string[], options: RunOptions): Promise<Outcome> {
  const { cwd, input = "", env = {}, terminal = false, screen = false, signal } = options;
  const stdout = collect();
  const stderr = collect();
  const code = await runCli(args, {
    stdout: Object.assign(stdout.stream, { isTTY: screen }),
    stderr: Object.assign(stderr.stream, { isTTY: terminal || screen }),
    stdin: Object.assign(Readable.from([Buffer.from(input)]), { isTTY: terminal }),
    // No test looks for stores elsewhere.
    env: { OPENFAAS_TEMPLATE_STORE_URL: "no-templates.json", OPENFAAS_STORE: "no-functions.json", ...env },
    cwd,
    home: join(cwd, "home"),
    // A tree of its own: the developer's own platform must not lend its password.
    sourceRoot: join(cwd, "source"),
    version: "1.2.3",
    commit: "0123456789abcdef0123456789abcdef01234567",
    signal,
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function collect() {
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return { stream, text: () => Buffer.concat(chunks).toString("utf8") };
}

/** The command line as its users start it. */
export async function runChild(args: readonly string[], { cwd, input = "", env = {} }: RunOptions): Promise<Outcome> {
  const child = spawn(process.execPath, [join(ROOT, "cli/main.ts"), ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: join(cwd, "home"), ...env },
    timeout: 20_000,
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => {
    // It may end before it has read everything, or anything.
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}
