import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "@jest/globals";
import { Platform, ROOT, temporaryFolder } from "./platform.ts";

/** A file to write, or commands to run, with what they print. */
const PART = /`([\w./-]+)`:\n\n```\w+\n([\s\S]*?)```|```bash\n([\s\S]*?)```/g;

/**
 * Does at a platform of its own what a document says: writes the files that it names before their text, and runs its blocks of
 * `bash`. Each line of those that begins with `# ` has to be in what they print.
 * @param prepare puts beside it what the document takes for granted
 * @returns how many files and lines there were
 */
export async function followDocument(
  path: string,
  prepare: (folder: string) => Promise<void> = async () => {},
): Promise<{ readonly files: number; readonly answers: number }> {
  const folder = await temporaryFolder();
  const platform = await Platform.start({ dataDir: join(folder.path, "data"), cwd: folder.path });
  try {
    await prepare(folder.path);
    const bin = join(folder.path, "bin");
    await mkdir(bin);
    const program = `#!/bin/sh\nexec ${process.execPath} --disable-warning=ExperimentalWarning ${ROOT}/cli/main.ts "$@"\n`;
    await writeFile(join(bin, "faaslane"), program);
    await chmod(join(bin, "faaslane"), 0o755);
    const env = {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: folder.path,
      OPENFAAS_URL: platform.url,
      data_dir: join(folder.path, "data"),
    };
    const text = await readFile(join(ROOT, path), "utf8");
    let [files, answers] = [0, 0];
    for (const [, file, content, commands] of text.matchAll(PART)) {
      if (file !== undefined) {
        await writeFile(join(folder.path, file), content as string);
        files += 1;
        continue;
      }
      const script = (commands as string).replaceAll("http://127.0.0.1:8080", platform.url);
      const { stdout } = await promisify(execFile)("bash", ["-eu", "-c", script], {
        cwd: folder.path,
        env,
        timeout: 120_000,
      });
      for (const [, expected] of script.matchAll(/^# (.*)$/gm)) {
        expect(stdout).toContain(expected);
        answers += 1;
      }
    }
    return { files, answers };
  } finally {
    platform.kill("SIGKILL");
    await platform.ended;
    await folder.remove();
  }
}
