/**
 * `npm run record`: runs `session.sh` against a platform of its own in a real terminal, and writes what that showed to
 * `docs/img/first-function.cast` (asciicast, version 2) and as a moving picture to `docs/img/first-function.svg`.
 * It needs `script` of util-linux, `bash` and `curl`.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { drawRecording } from "./draw.ts";

const COLUMNS = 104;
const ROWS = 28;
/** A session that takes longer waits for something that does not come. */
const LIMIT_MS = 120_000;
/** What the recording calls the gateway: where it is when nothing else is said. */
const GATEWAY = "http://127.0.0.1:8080";

export interface Moment {
  readonly seconds: number;
  readonly text: string;
}

/** The moments of a typescript and its timing, as `script` writes them. */
function momentsOf(timing: string, output: Buffer): Moment[] {
  let [seconds, at] = [0, 0];
  const decoder = new TextDecoder();
  return timing
    .trim()
    .split("\n")
    .map((line) => {
      const [delay = 0, bytes = 0] = line.split(" ").map(Number);
      seconds += delay;
      const text = decoder.decode(output.subarray(at, at + bytes), { stream: true });
      at += bytes;
      return { seconds, text };
    });
}

/** Ends with an error for what must not be in a recording that others read. */
function requireClean(moments: readonly Moment[], folders: readonly string[]): void {
  const all = moments.map(({ text }) => text).join("");
  const found = [...folders, process.env.HOME ?? ""].find((folder) => folder.length > 1 && all.includes(folder));
  if (found) throw new Error(`the recording shows ${found}`);
  if (/^Error: |build failed|Not deployed/m.test(all)) throw new Error(`something went wrong:\n${all}`);
}

async function record(): Promise<Moment[]> {
  const folder = await temporaryFolder();
  const platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
  try {
    const [bin, work] = [join(folder.path, "bin"), join(folder.path, "work")];
    await Promise.all([mkdir(bin), mkdir(work)]);
    const program = `#!/bin/sh\nexec ${process.execPath} --disable-warning=ExperimentalWarning ${ROOT}cli/main.ts "$@"\n`;
    await writeFile(join(bin, "faaslane"), program);
    await chmod(join(bin, "faaslane"), 0o755);
    const session = `stty cols ${COLUMNS} rows ${ROWS}; exec bash ${ROOT}test/recording/session.sh`;
    const [output, timing] = [join(folder.path, "output"), join(folder.path, "timing")];
    const logs = ["--log-out", output, "--log-timing", timing, "--logging-format", "classic"];
    const terminal = spawn("script", ["--quiet", "--flush", "--return", ...logs, "--command", session], {
      cwd: work,
      stdio: "ignore",
      env: {
        PATH: `${bin}:${process.env.PATH}`,
        HOME: folder.path,
        TERM: "xterm-256color",
        OPENFAAS_URL: platform.url,
        data_dir: join(folder.path, "data"),
      },
    });
    const late = setTimeout(() => terminal.kill(), LIMIT_MS);
    await once(terminal, "exit");
    clearTimeout(late);
    const bytes = await readFile(output);
    // The first and the last line are those of `script` itself.
    const body = bytes.subarray(bytes.indexOf("\n") + 1);
    const moments = momentsOf(await readFile(timing, "utf8"), body).map(({ seconds, text }) => ({
      seconds,
      text: text.replaceAll(platform.url, GATEWAY),
    }));
    requireClean(moments, [folder.path, ROOT]);
    return moments;
  } finally {
    await platform.stop();
    await folder.remove();
  }
}

const moments = await record();
const header = { version: 2, width: COLUMNS, height: ROWS, title: "A first function", env: { TERM: "xterm-256color" } };
const lines = [header, ...moments.map(({ seconds, text }) => [Number(seconds.toFixed(3)), "o", text])];
const target = join(ROOT, "docs/img/first-function");
await writeFile(`${target}.cast`, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
await writeFile(`${target}.svg`, drawRecording(moments, { columns: COLUMNS, rows: ROWS }));
const { stdout } = await promisify(execFile)("du", ["-k", `${target}.cast`, `${target}.svg`]);
process.stdout.write(stdout);
