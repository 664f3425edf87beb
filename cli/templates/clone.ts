import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CliError } from "../errors.ts";
import { measureTree } from "./measure.ts";
import { type TemplateRepository, withoutPassword } from "./source.ts";

export interface Checkout extends AsyncDisposable {
  readonly folder: string;
  /** The commit; undefined for a folder that is no repository. */
  readonly sha: string | undefined;
}

export interface CloneSettings {
  /** What relative paths start from. */
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
  /** Of everything that is fetched. */
  readonly maxBytes?: number;
  /** Told what git is run with. */
  readonly trace?: (line: string) => void;
}

const TIMEOUT_MS = 120_000;
const MAX_BYTES = 256 * 1024 ** 2;
const LOOK_EVERY_MS = 250;
const MAX_SAID_BYTES = 16 * 1024;

/**
 * The files of a repository, to be removed by its reader. A folder without a ref is taken as it is.
 * @throws {CliError}
 */
export async function checkOut(repository: TemplateRepository, settings: CloneSettings): Promise<Checkout> {
  const { baseDir } = settings;
  const { location, local, ref } = repository;
  if (!local) return await clone(repository, location, settings);
  const folder = resolve(baseDir, location);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new CliError(`template repository ${location}: there is no such folder`);
  }
  if (ref !== undefined) return await clone(repository, folder, settings);
  return { folder: await realpath(folder), sha: undefined, async [Symbol.asyncDispose]() {} };
}

async function clone({ location, ref }: TemplateRepository, from: string, settings: CloneSettings): Promise<Checkout> {
  const parent = await mkdtemp(join(await realpath(tmpdir()), "faaslane-templates-"));
  const remove = () => rm(parent, { recursive: true, force: true, maxRetries: 3 });
  const folder = join(parent, "repository");
  const git = (...args: string[]) => runGit(args, parent, settings);
  try {
    const whole = ref?.commit !== undefined;
    const branch = ref !== undefined && !whole ? [`--branch=${ref.name}`] : [];
    const depth = whole ? [] : ["--depth=1", "--single-branch"];
    await git("clone", "--quiet", "--no-recurse-submodules", ...depth, ...branch, "--", from, folder);
    if (ref?.commit !== undefined) await git("-C", folder, "checkout", "--quiet", "--detach", `${ref.commit}^{commit}`);
    const sha = (await git("-C", folder, "rev-parse", "HEAD")).trim();
    return { folder, sha, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    if (!(error instanceof GitFailure)) throw error;
    const where = `${withoutPassword(location)}${ref === undefined ? "" : `#${ref.name}`}`;
    throw new CliError(`template repository ${where}: ${error.message}`, { cause: error });
  }
}

class GitFailure extends Error {}

/** Nothing of what a repository brings is run, and nobody is asked for a password. */
const SAFE = [
  ...["-c", "core.hooksPath=/dev/null"],
  ...["-c", "core.fsmonitor=false"],
  ...["-c", "core.autocrlf=false"],
  ...["-c", "core.protectNTFS=true"],
  ...["-c", "protocol.allow=never"],
  ...["https", "http", "ssh", "git", "file"].flatMap((name) => ["-c", `protocol.${name}.allow=always`]),
];

/** Runs git in `parent`, until it is done, takes too long or what it fetches is too much. @returns what it printed */
async function runGit(args: readonly string[], parent: string, settings: CloneSettings): Promise<string> {
  const { env, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES, trace } = settings;
  trace?.(`git ${args.join(" ")}`);
  const child = spawn("git", [...SAFE, ...args], {
    cwd: parent,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...env, GIT_TERMINAL_PROMPT: "0", GIT_LFS_SKIP_SMUDGE: "1", GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" },
  });
  let [out, said] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out = (out + text).slice(-MAX_SAID_BYTES);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-MAX_SAID_BYTES);
  });
  let stopped: string | undefined;
  const stop = (why: string) => {
    stopped ??= why;
    // With what it has started: git-remote-https, ssh.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  const late = setTimeout(() => stop(`took longer than ${timeoutMs / 1000} s`), timeoutMs);
  const looking = setInterval(() => {
    void measureTree(parent, maxBytes).then(
      ({ tooLarge }) => tooLarge && stop(`is larger than ${maxBytes} bytes`),
      () => {}, // files come and go while git works
    );
  }, LOOK_EVERY_MS);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (stopped === undefined && (await measureTree(parent, maxBytes)).tooLarge) {
      stopped = `is larger than ${maxBytes} bytes`;
    }
    if (stopped !== undefined) throw new GitFailure(stopped);
    if (code !== 0) throw new GitFailure(describe(said) || `git ended with exit code ${code}`);
    return out;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new GitFailure(
        "git is not installed; install it, or give the path of a folder that has been fetched already",
      );
    }
    throw error;
  } finally {
    clearTimeout(late);
    clearInterval(looking);
  }
}

/** What git says of its failure, in a line. */
function describe(said: string): string {
  const lines = said.split("\n").map((line) => line.trim());
  const told = lines.filter((line) => /^(fatal|error|ERROR|remote|ssh)\b/.test(line));
  return (told.length > 0 ? told : lines)
    .filter((line) => line !== "")
    .slice(-2)
    .join("; ")
    .slice(0, 500);
}
