import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { BuildEvent } from "../../../contract/build.ts";
import type { PruneReport } from "../../../contract/prune.ts";
import { createLogger } from "../../../kit/log.ts";
import { type LocalBuilder, openBuilder } from "../../../provider/backends/local/build/builder.ts";
import type { Images } from "../../../provider/backends/local/images.ts";
import { digestOf } from "../build-fixture.ts";
import { descriptor, tarOf } from "../tar-fixture.ts";
import { deployment, type LocalFixture, openFixture, ref, until, untilReady } from "./support.ts";

/** Builds and sweeps at the same time, with a real builder. */
let fixture: LocalFixture;
let builder: LocalBuilder;
let images: Images;
let archives = 0;

beforeEach(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "faaslane-image-builds-"));
  fixture = await openFixture({
    dataDir,
    openBuilder: (opened, strays) => {
      images = opened;
      const env = { PATH: process.env.PATH };
      builder = openBuilder({ dataDir, images, orphans: strays, log: createLogger("silent"), env });
      return builder;
    },
  });
});
afterEach(async () => {
  await builder.close();
  await fixture.close();
});

const SAYS = "export default (req, res) => res.end('built');";
const context = (install: string) =>
  tarOf(descriptor({ install: ["sh", "-c", install], env: { mode: "inproc", inproc_handler: "./index.mjs" } }), {
    name: "index.mjs",
    content: SAYS,
  });

async function build(image: string, archive: Buffer): Promise<BuildEvent[]> {
  const file = join(fixture.dataDir, `archive-${archives++}`);
  await writeFile(file, archive);
  const events: BuildEvent[] = [];
  for await (const event of builder.build(file, { image }, new AbortController().signal)) events.push(event);
  return events;
}
const pruneAll = async () => (await fixture.backend.images?.prune({ all: true })) as PruneReport;

test("what a build is about to name is nobody's to remove", async () => {
  const digest = digestOf(await build("a:1", context("true")));
  const release = images.hold(digest);
  images.forget(["a:1"]);
  expect((await pruneAll()).removed).toEqual([]);
  const second = images.hold(digest);
  release();
  release();
  expect((await pruneAll()).removed).toEqual([]);
  second();
  expect((await pruneAll()).removed).toMatchObject([{ images: [], digest: `sha256:${digest}` }]);
});

test("a context that is built while its image is swept is built, and can be deployed", async () => {
  const archive = context("seq 200 | xargs touch");
  let installs = 0;
  for (let round = 0; round < 6; round++) {
    let swept = false;
    const sweeps = (async () => {
      while (!swept) await pruneAll();
    })();
    const events = await build("race:1", archive);
    swept = true;
    if (JSON.stringify(events).includes("running sh")) installs += 1;
    const digest = digestOf(events);
    await sweeps;
    // Named before the last sweep, it may be gone by now; else it is whole.
    const found = images.resolve("race:1");
    expect(found === undefined || existsSync(join(found.path, "200"))).toBe(true);
    expect(existsSync(images.artefactPath(digest))).toBe(found !== undefined);
    await build("race:1", archive);
    await fixture.backend.functions.create(deployment("fn", "race:1"));
    await untilReady(fixture.backend, "fn");
    await fixture.backend.functions.remove(ref("fn"));
    await until("it is free", async () => (await pruneAll()).removed.length > 0);
  }
  expect(installs).toBeGreaterThan(0);
}, 60_000);

test("an install step may make its folder one that cannot be written to, moved or removed", async () => {
  const archive = context("mkdir -p a/b; touch a/b/f; chmod 555 a/b a; chmod 555 .");
  const digest = digestOf(await build("a:1", archive));
  await fixture.backend.functions.create(deployment("fn", "a:1"));
  await untilReady(fixture.backend, "fn");
  await fixture.backend.functions.remove(ref("fn"));
  await until("it is gone", async () => (await pruneAll()).removed.length > 0);
  expect(existsSync(images.artefactPath(digest))).toBe(false);
});
