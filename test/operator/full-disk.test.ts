import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { Platform, ROOT } from "../support/platform.ts";
import { missingSmallDisk, mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { call, inProcess, type Operated, operate } from "./support.ts";

const testDisk = testNeeding(missingSmallDisk());

/** A platform whose data is on a disk that is full. */
let disk: SmallDisk;
let on: Operated | undefined;
let later: Platform | undefined;

beforeEach(() => {
  disk = mountSmallDisk(48);
});

afterEach(async () => {
  await later?.stop();
  await on?.close();
  disk.remove();
  [later, on] = [undefined, undefined];
});

const NO_SPACE = /^no space is left on the platform's disk/;

type Request = [method: string, path: string, body: object];
const send = async (platform: Platform, [method, path, body]: Request) => {
  const answer = await platform.control(path, { method, body: JSON.stringify(body) });
  return [answer.status, (await answer.text()).trim()] as const;
};

const CREATE: Request = ["POST", "/system/functions", { service: "new", image: "pid:1" }];
const UPDATE: Request = ["PUT", "/system/functions", { service: "kept", image: "pid:1", envVars: { a: "1" } }];
const NEW_SECRET: Request = ["POST", "/system/secrets", { name: "new", value: "v" }];
const CHANGED_SECRET: Request = ["PUT", "/system/secrets", { name: "kept", value: "w" }];
const NAMESPACE: Request = ["POST", "/system/namespace/", { name: "new" }];
const scale = (name: string, replicas: number): Request => [
  "POST",
  `/system/scale-function/${name}`,
  { serviceName: name, replicas },
];
const removal = (name: string): Request => ["DELETE", "/system/functions", { functionName: name }];

/** Functions and secrets on a disk that has room. */
async function prepare({ path }: SmallDisk): Promise<Operated> {
  on = await operate({ dataDir: join(path, "data") });
  const { platform } = on;
  for (const name of ["kept", "gone", "later"]) {
    expect((await send(platform, ["POST", "/system/secrets", { name, value: "v" }]))[0]).toBe(202);
  }
  for (const name of ["kept", "gone", "later", "asleep"]) {
    const service = { service: name, image: "pid:1", ...(name === "kept" && { secrets: ["kept"] }) };
    expect((await send(platform, ["POST", "/system/functions", service]))[0]).toBe(202);
    await on.whenReady(name, 1);
  }
  expect((await send(platform, scale("asleep", 0)))[0]).toBe(202);
  await on.whenReady("asleep", 0);
  return on;
}

/** Leaves nothing, nor what the platform gives up when it notices. */
async function fillUp(full: SmallDisk): Promise<void> {
  let quietSince = performance.now();
  await eventually("nobody gives anything up any more", () => {
    if (full.freeBytes > 0) quietSince = performance.now();
    full.fill();
    return performance.now() - quietSince > 2_500;
  });
}

/** Everything that is to be stored is refused with the reason, and all else goes on. */
async function expectFull(platform: Platform, toRemove: string): Promise<void> {
  for (const name of ["kept", "asleep"]) expect((await call(`${platform.url}/function/${name}`)).status).toBe(200);
  for (const request of [CREATE, UPDATE, NEW_SECRET, CHANGED_SECRET, NAMESPACE]) {
    expect(await send(platform, request)).toEqual([507, expect.stringMatching(NO_SPACE)]);
  }
  const failed = await buildImage(platform, "new:1", inProcess("x".repeat(100_000))).catch(({ message }) => message);
  expect(failed).toMatch(/no space is left/);
  const queued = await fetch(`${platform.url}/async-function/kept`, { method: "POST", body: "x".repeat(100_000) });
  expect([queued.status, await queued.text()]).toEqual([503, expect.stringMatching(/space|full|free/)]);
  for (const request of [scale("kept", 2), scale("kept", 1), scale("asleep", 0), removal(toRemove)]) {
    expect(await send(platform, request)).toEqual([202, ""]);
  }
  expect(await send(platform, ["DELETE", "/system/secrets", { name: toRemove }])).toEqual([202, ""]);
  expect((await call(`${platform.url}/function/${toRemove}`)).status).toBe(404);
}

async function expectWell(platform: Platform): Promise<void> {
  const again = async (request: Request) =>
    await eventually("it is taken", async () => (await send(platform, request))[0] < 300, 20_000, 200);
  for (const request of [CREATE, UPDATE, NEW_SECRET, CHANGED_SECRET, NAMESPACE]) await again(request);
  await buildImage(platform, "new:1", inProcess("export default (req, res) => res.end('new');"));
  await eventually("calls are queued", async () => {
    const queued = await fetch(`${platform.url}/async-function/new`, { method: "POST" });
    return queued.status === 202;
  });
  for (const name of ["kept", "asleep", "new"]) {
    expect((await call(`${platform.url}/function/${name}`)).status).toBe(200);
  }
}

testDisk.each(["SIGTERM", "SIGKILL"] as const)(
  "what needs no room goes on while a disk is full, over a %s and a start too; then all is well without another",
  async (signal) => {
    const { platform, dataDir } = await prepare(disk);
    await fillUp(disk);
    await expectFull(platform, "gone");
    platform.kill(signal);
    await platform.ended;
    disk.fill();
    later = await Platform.start({ dataDir });
    await fillUp(disk);
    await expectFull(later, "later");
    expect(later.stdout).not.toMatch(/no transaction is active|"level":50/);
    disk.clear();
    await expectWell(later);
  },
  90_000,
);

testDisk(
  "a start succeeds even when the reserves are gone; the queue follows when there is room",
  async () => {
    const { platform, dataDir } = await prepare(disk);
    const queued = await fetch(`${platform.url}/async-function/kept?ms=60000`, { method: "POST", body: "x" });
    expect(queued.status).toBe(202);
    platform.kill("SIGKILL");
    await platform.ended;
    for (const file of ["provider.db-spare", "queue.db-spare"]) rmSync(join(dataDir, file));
    disk.fill();
    later = await Platform.start({ dataDir });
    await fillUp(disk);
    await expectFull(later, "gone");
    disk.clear();
    await expectWell(later);
  },
  90_000,
);

testDisk(
  "a second start on the same folder is told from a full disk",
  async () => {
    const { dataDir } = await prepare(disk);
    disk.fill();
    const second = new Platform({ dataDir });
    expect([await second.ended, second.stdout + second.stderr]).toEqual([
      1,
      expect.stringContaining(`another faaslane is using ${dataDir}`),
    ]);
  },
  60_000,
);

testDisk(
  "calls that were queued before are made while the disk is full",
  async () => {
    const { platform, url } = await prepare(disk);
    const ids: string[] = [];
    for (let i = 0; i < 50; i++) {
      const body = "x".repeat(20_000);
      const queued = await fetch(`${platform.url}/async-function/kept?ms=200`, { method: "POST", body });
      expect(queued.status).toBe(202);
      ids.push(queued.headers.get("x-call-id") as string);
    }
    disk.fill();
    expect((await call(url("kept"))).status).toBe(200);
    for (const id of ids) {
      const ended = async () => {
        const state = await fetch(`${platform.url}/async-function/${id}?wait=5s`);
        return ((await state.json()) as { state: string }).state === "done";
      };
      await eventually(`${id} is made`, ended, 30_000, 50);
    }
  },
  90_000,
);

testDisk(
  "a log that goes to the full disk does not end the platform",
  async () => {
    const log = join(disk.path, "log");
    const out = openSync(log, "a");
    const dataDir = join(disk.path, "data");
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", join(ROOT, "cli/main.ts"), "start"],
      {
        cwd: disk.path,
        stdio: ["ignore", out, "ignore"],
        env: {
          PATH: process.env.PATH,
          port: "0",
          metrics_port: "0",
          provider_port: "0",
          data_dir: dataDir,
          stack_file: "",
        },
      },
    );
    closeSync(out);
    const ended = new Promise<unknown>((resolve) => child.on("close", resolve));
    try {
      const url = await eventually(
        "it runs",
        () => /running at (http:\S+)/.exec(readFileSync(log, "utf8"))?.[1],
        30_000,
        50,
      );
      const password = readFileSync(join(dataDir, "basic-auth-password"), "utf8").trim();
      const headers = {
        authorization: `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`,
        "content-type": "application/json",
      };
      let refused = 0;
      for (let i = 0; refused < 50; i++) {
        disk.fill();
        // Each refusal is a line. A platform that has just started may remove something meanwhile, and then takes one.
        const answer = await fetch(`${url}/system/secrets`, {
          method: "POST",
          headers,
          body: `{"name":"s${i}","value":"v"}`,
        });
        if (answer.status === 507) refused++;
        else expect([answer.status, i - refused < 20]).toEqual([202, true]);
      }
    } finally {
      child.kill("SIGTERM");
    }
    expect(await ended).toBe(0);
  },
  60_000,
);
