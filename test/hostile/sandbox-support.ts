import { readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ResolvedDeployment } from "../../provider/backends/backend.ts";
import type { LocalBackendOptions } from "../../provider/backends/local/local-backend.ts";
import {
  deployment,
  type LocalFixture,
  openFixture,
  readyAddresses,
  untilReady,
  WATCHDOG,
} from "../provider/local/support.ts";

/** What keeps a function, and in which mode it runs. */
export type Column = "wall, in-process" | "wall, forked" | "permission" | "none";
export const COLUMNS: readonly Column[] = ["wall, in-process", "wall, forked", "permission", "none"];
export const isWalled = (column: Column) => column.startsWith("wall");
const isForked = (column: Column) => column === "wall, forked" || column === "none";

const FIXTURES = fileURLToPath(new URL("./fixtures", import.meta.url));
const TMP_BYTES = 8 * 2 ** 20;

/** A function that tries what it is told, on a platform of its own. */
export interface Scene {
  readonly fixture: LocalFixture;
  /** The watchdog's bundle that its functions run. */
  readonly watchdog: string;
  /** Deploys the attacker, once more under another name if need be. */
  deploy(name: string, more?: Partial<ResolvedDeployment>): Promise<void>;
  /** @returns how the attempt ended */
  attack(name: string, attempt: object): Promise<string>;
  close(): Promise<void>;
}

/** @param column "permission" and "none" are a machine without bubblewrap */
export async function openScene(column: Column, options: Partial<LocalBackendOptions> = {}): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-hostile-"));
  // A copy belongs to whoever runs this: if it cannot be written to, it is not for want of permissions.
  const watchdog = join(folder, "watchdog.mjs");
  await copyFile(WATCHDOG, watchdog);
  const path = isWalled(column) ? process.env.PATH : await pathWithout(join(folder, "bin"), "bwrap");
  const fixture = await openFixture({
    sandbox: "auto",
    tmpBytes: TMP_BYTES,
    environment: { PATH: path },
    watchdogPath: watchdog,
    ...options,
  });
  const text = (name: string) => readFile(join(FIXTURES, name), "utf8");
  const env = isForked(column)
    ? { mode: "serializing", fprocess: `${process.execPath} forked.mjs`, exec_timeout: "20s" }
    : { mode: "inproc", inproc_handler: "./inproc.mjs" };
  await fixture.addImage("attacker", {
    "faaslane.json": JSON.stringify({ env }),
    "attack.mjs": await text("attack.mjs"),
    "inproc.mjs": await text("inproc.mjs"),
    "forked.mjs": await text("forked.mjs"),
  });
  return {
    fixture,
    watchdog,
    deploy: async (name, more = {}) => {
      await fixture.backend.functions.create(deployment(name, "attacker", more));
      await untilReady(fixture.backend, name);
    },
    attack: async (name, attempt) => {
      const [address] = await readyAddresses(fixture.backend, name);
      const response = await fetch(`http://${address}/`, { method: "POST", body: JSON.stringify(attempt) });
      return await response.text();
    },
    close: async () => {
      await fixture.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A PATH with everything that is on this machine's, but for one program. */
async function pathWithout(folder: string, program: string): Promise<string> {
  await mkdir(folder);
  const folders = (process.env.PATH ?? "").split(delimiter).filter((one) => one.startsWith("/"));
  for (const one of folders) {
    const names = (() => {
      try {
        return readdirSync(one);
      } catch {
        return []; // not there
      }
    })();
    for (const name of names) {
      if (name !== program) await symlink(join(one, name), join(folder, name)).catch(() => {}); // the first one counts
    }
  }
  return folder;
}

/** Ids of the processes with these words in their command line. */
export function processesWith(words: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").includes(words);
      } catch {
        return false; // gone meanwhile
      }
    })
    .map(Number);
}

/** What the files of a folder hold, in bytes. */
export async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map((file) => stat(join(file.parentPath, file.name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}
