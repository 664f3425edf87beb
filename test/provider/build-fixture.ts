import { readdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { BuildConfig, BuildEvent } from "../../contract/build.ts";
import { createLogger } from "../../kit/log.ts";
import type { BuildLimits } from "../../provider/backends/build/limits.ts";
import { openBuilder } from "../../provider/backends/local/build/builder.ts";
import { openDatabase } from "../../provider/backends/local/database.ts";
import { type Images, openImages } from "../../provider/backends/local/images.ts";
import { openIsolation } from "../../provider/backends/local/sandbox/isolation.ts";
import type { SandboxSetting } from "../../provider/backends/local/sandbox/level.ts";
import { ROOT, temporaryFolder } from "../support/platform.ts";

/** A real builder in a folder of its own. */
export interface BuildFixture {
  readonly dataDir: string;
  readonly images: Images;
  /** Builds `archive` and gives all events. */
  build(archive: Buffer, config?: Partial<BuildConfig>): Promise<BuildEvent[]>;
  /** As `build`, event by event. */
  start(archive: Buffer, signal: AbortSignal, config?: Partial<BuildConfig>): Promise<AsyncIterator<BuildEvent>>;
  /** What unfinished work is on the disk. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openBuildFixture(
  limits: Partial<BuildLimits> = {},
  env: Record<string, string | undefined> = { PATH: process.env.PATH },
  sandbox: SandboxSetting = "off",
): Promise<BuildFixture> {
  const folder = await temporaryFolder();
  const dataDir = folder.path;
  const db = openDatabase(dataDir);
  const images = await openImages(db, dataDir);
  const log = createLogger("silent");
  const isolation = await openIsolation({
    setting: sandbox,
    path: env.PATH ?? "",
    home: homedir(),
    nodePath: process.execPath,
    watchdogPath: join(ROOT, "dist/watchdog.mjs"),
    dataDir,
    hidden: [],
    tmpBytes: 64 * 1024 ** 2,
    diskBytes: 1024 ** 3,
    log,
  });
  const builder = openBuilder({ dataDir, images, log, limits, env, isolation });
  let sequence = 0;
  const start = async (archive: Buffer, signal: AbortSignal, config: Partial<BuildConfig> = {}) => {
    const file = join(dataDir, `context-${sequence++}.tar`);
    await writeFile(file, archive);
    return builder.build(file, { image: "test:1", ...config }, signal)[Symbol.asyncIterator]();
  };
  return {
    dataDir,
    images,
    start,
    async build(archive, config) {
      const events: BuildEvent[] = [];
      const running = await start(archive, new AbortController().signal, config);
      for (let next = await running.next(); !next.done; next = await running.next()) events.push(next.value);
      return events;
    },
    leftovers: async () => {
      const artefacts = (await readdir(images.artefactsDir)).filter((name) => !/^[0-9a-f]{64}$/.test(name));
      return [...(await readdir(join(dataDir, "builds"))), ...artefacts];
    },
    async close() {
      await builder.close();
      await isolation.close();
      if (db.sql.isOpen) db.close();
      await folder.remove();
    },
  };
}

/** All output lines of a build. */
export function outputOf(events: readonly BuildEvent[]): string[] {
  return events.flatMap((event) => (event.status === "in_progress" ? event.log : []));
}

/** The digest that a build succeeded with. @throws when it did not */
export function digestOf(events: readonly BuildEvent[]): string {
  const last = events.at(-1);
  if (last?.status !== "success") throw new Error(`build did not succeed: ${JSON.stringify(events)}`);
  return last.image.replace(/^.*@sha256:/, "");
}
