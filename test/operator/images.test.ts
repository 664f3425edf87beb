import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { Platform, runCli, temporaryFolder } from "../support/platform.ts";
import { missingSmallDisk, mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { call, inProcess, type Operated, operate } from "./support.ts";

/** What an operator does about images that take up the disk. */
let on: Operated | undefined;
let later: Platform | undefined;
let disk: SmallDisk | undefined;
let folder: Awaited<ReturnType<typeof temporaryFolder>> | undefined;

afterEach(async () => {
  await later?.stop();
  await on?.close();
  disk?.remove();
  await folder?.remove();
  [on, later, disk, folder] = [undefined, undefined, undefined, undefined];
});

async function faaslane(...args: string[]) {
  const { platform, dataDir } = on as Operated;
  folder ??= await temporaryFolder();
  return await runCli([...args, "-g", platform.url], { cwd: folder.path, env: { data_dir: dataDir } });
}

const put = async (platform: Platform, service: string, image: string) => {
  const body = JSON.stringify({ service, image });
  const answer = await platform.control("/system/functions", { method: "POST", body });
  return [answer.status, (await answer.text()).trim()] as const;
};
const artefacts = () => readdirSync(join((on as Operated).dataDir, "artefacts"));

testNeeding(missingSmallDisk())(
  "on a full disk, pruning makes the room that a deploy needs",
  async () => {
    disk = mountSmallDisk(64);
    on = await operate({ dataDir: join(disk.path, "data") });
    const { platform } = on;
    await on.deploy("kept");
    const ballast = { ...inProcess("export default 1;"), ballast: randomBytes(9 * 1024 ** 2).toString("base64") };
    await buildImage(platform, "old:1", ballast);
    let quietSince = performance.now();
    await eventually("nobody gives anything up any more", () => {
      if ((disk?.freeBytes ?? 0) > 0) quietSince = performance.now();
      disk?.fill();
      return performance.now() - quietSince > 2_500;
    });
    expect(await put(platform, "new", "pid:1")).toEqual([507, expect.stringContaining("no space is left")]);

    const dry = await faaslane("prune", "--all", "--dry-run");
    expect([dry.code, dry.stdout]).toEqual([
      0,
      expect.stringMatching(/^Would remove: old:1 \(sha256:\w{12}, 12MiB\)\n/),
    ]);
    const pruned = await faaslane("prune", "--all");
    expect([pruned.code, pruned.stderr]).toEqual([0, ""]);
    expect(pruned.stdout).toMatch(/^Removed: old:1 .*\nFreed: 12MiB\n$/);
    await eventually("it is taken", async () => (await put(platform, "new", "pid:1"))[0] === 202, 20_000, 200);
    await on.whenReady("new", 1);
    for (const name of ["kept", "new"]) expect((await call(on.url(name))).status).toBe(200);
    const described = await faaslane("describe", "new");
    expect(described.stdout).toMatch(/^Image Size: +\d+B$/m);
  },
  90_000,
);

test("killed while it removes an image, it goes on with that after the next start; calls never wait for it", async () => {
  on = await operate();
  const { platform, dataDir } = on;
  await on.deploy("kept");
  await on.whenReady("kept", 1);
  const install = "mkdir d && cd d && seq 20000 | xargs touch";
  const files = {
    "faaslane.json": JSON.stringify({
      requires: ["sh"],
      install: ["sh", "-c", install],
      env: { mode: "inproc", inproc_handler: "./index.mjs" },
    }),
    "index.mjs": "export default (req, res) => res.end('many');",
  };
  await buildImage(platform, "many:1", files);
  const traffic = on.traffic(on.url("kept"), 50);
  const pruning = platform.control("/system/prune", { method: "POST", body: '{"all":true}' }).catch(() => undefined);
  await eventually("it is being removed", () => artefacts().some((name) => name.startsWith(".")), 10_000, 1);
  expect(await put(platform, "late", "many:1")).toEqual([400, expect.stringContaining("has not been built here")]);
  await eventually("calls have been made meanwhile", () => traffic.answers.length > 20);
  expect(artefacts().some((name) => name.startsWith("."))).toBe(true);
  traffic.halt();
  expect(traffic.answers.filter(({ status }) => status !== 200)).toEqual([]);
  platform.kill("SIGKILL");
  await platform.ended;
  await pruning;
  expect(artefacts().some((name) => name.startsWith("."))).toBe(true);

  later = await Platform.start({ dataDir, env: { sandbox: "off" } });
  expect((await put(later, "late", "many:1"))[0]).toBe(400);
  await eventually("the rest is gone", () => artefacts().length === 1, 60_000, 50);
  await buildImage(later, "many:1", files);
  expect((await put(later, "late", "many:1"))[0]).toBe(202);
  expect((await call(`${later.url}/function/late`)).text).toBe("many");
  expect((await call(`${later.url}/function/kept`)).status).toBe(200);
}, 120_000);

test("images that are built again and again do not fill the disk", async () => {
  on = await operate();
  for (let i = 0; i < 5; i++) {
    await buildImage(on.platform, "app:1", inProcess(`export default (req, res) => res.end("${i}");`));
    const annotations = { "com.faaslane.version-keep": "0" };
    const body = JSON.stringify({ service: "app", image: "app:1", annotations });
    const put = await on.platform.control("/system/functions", { method: "PUT", body });
    if (put.status === 404) await on.deploy("app", { image: "app:1", annotations });
    await eventually(
      "it answers",
      async () => (await call((on as Operated).url("app"))).text === String(i),
      20_000,
      20,
    );
  }
  // `pid:1`, the last, and the one before, which it may be rolled back to.
  await eventually("the former ones are gone", () => artefacts().length === 3, 20_000);
});
