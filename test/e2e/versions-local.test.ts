import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { decodeFunctionList } from "../../contract/functions.ts";
import { decodeListedVersions, type ListedVersions } from "../../contract/versions/requests.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { SteadyLoad } from "../support/steady-load.ts";

const PATIENCE_MS = 90_000;
const IMAGE = "shop:1";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
const loads: SteadyLoad[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({
    dataDir: join(folder.path, "data"),
    cwd: folder.path,
    env: { sandbox: "off", log_level: "info" },
  });
  await buildImage(platform, IMAGE, {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": `
      if (process.env.BROKEN) { console.error("the shop is " + process.env.BROKEN); process.exit(3); }
      export default (_req, res) => res.end(String(process.pid));`,
  });
}, 120_000);

afterEach(async () => {
  for (const load of loads.splice(0)) await load.stop();
});

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
}, 60_000);

async function send(method: string, path: string, body: object, headers = {}): Promise<Response> {
  const answer = await platform.control(path, { method, body: JSON.stringify(body), headers });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer;
}

async function deploy(method: "POST" | "PUT", name: string, given: object): Promise<void> {
  await send(method, "/system/functions", { service: name, image: IMAGE, ...given });
}

async function versionsOf(name: string): Promise<ListedVersions> {
  return decodeListedVersions(await (await platform.control(`/system/function/${name}/versions`)).json());
}

async function answers(name: string): Promise<boolean> {
  return (await fetch(`${platform.url}/function/${name}`)).status === 200;
}

/** Calls the function from now on. */
function load(name: string): SteadyLoad {
  const begun = new SteadyLoad(`${platform.url}/function/${name}`, 50);
  loads.push(begun);
  return begun;
}

test("a version that never comes up is given up with its reason; the stable one has had all calls", async () => {
  const annotations = { "com.faaslane.rollout": "blue-green" };
  await deploy("POST", "sound", { annotations });
  await eventually("it answers", () => answers("sound"), PATIENCE_MS, 50);
  const calls = load("sound");
  await deploy("PUT", "sound", { annotations, envVars: { BROKEN: "on fire" } });
  const aborted = await eventually(
    "the rollout is aborted",
    async () => {
      const { rollout } = (await (await platform.control("/system/function/sound/rollout")).json()) as {
        rollout: { phase: string; reason: string };
      };
      return rollout.phase === "aborted" && rollout;
    },
    PATIENCE_MS,
    100,
  );
  expect(aborted.reason).not.toBe("");
  await calls.stop();
  expect(calls.failures).toEqual([]);
  expect(calls.countOf("v2")).toBe(0);
  const { history } = await versionsOf("sound");
  expect(history.at(-1)).toMatchObject({ traffic: "v1=100", reason: aborted.reason });
}, 180_000);

test("promoted, settled and rolled back in place, a function fails no call", async () => {
  const annotations = { "com.faaslane.rollout": "blue-green", "com.faaslane.rollback-window": "0s" };
  await deploy("POST", "busy", { annotations });
  await eventually("it answers", () => answers("busy"), PATIENCE_MS, 50);
  const calls = load("busy");
  await deploy("PUT", "busy", { annotations, envVars: { LEVEL: "2" } });
  await eventually("v2 has all calls", async () => (await versionsOf("busy")).stable === "v2", PATIENCE_MS, 100);
  const own = async () => decodeFunctionList(await (await platform.control("/system/functions")).json());
  await eventually(
    "one version is left",
    async () => {
      const { versions } = await versionsOf("busy");
      return versions.filter(({ replicas }) => replicas > 0).length === 1;
    },
    PATIENCE_MS,
    100,
  );
  expect((await own()).filter(({ name }) => name.startsWith("busy"))).toEqual([
    expect.objectContaining({ name: "busy", replicas: 1, envVars: { LEVEL: "2" } }),
  ]);
  // With no setting of versions any more, it is an ordinary function again.
  await deploy("PUT", "busy", { envVars: { LEVEL: "2" } });
  await send(
    "POST",
    "/system/function/busy/rollback",
    { reason: "the cart is empty" },
    { "X-Faaslane-User": "mallory" },
  );
  await eventually("the former version answers", () => calls.calls.at(-1)?.version === "v1", PATIENCE_MS, 50);
  await calls.stop();
  expect(calls.failures).toEqual([]);
  const { history, versions } = await versionsOf("busy");
  expect(history.at(-1)).toMatchObject({ traffic: "v1=100", reason: "the cart is empty", by: "admin" });
  expect(versions.map(({ version, createdBy }) => [version, createdBy])).toEqual([
    ["v2", "admin"],
    ["v1", "admin"],
  ]);
}, 240_000);
