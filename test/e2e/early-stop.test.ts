import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { find, render } from "../deploy/chart-support.ts";
import { type Container, type ContainerSpec, IMAGE_PROGRAMS, Network, whyNoContainers } from "../deploy/container.ts";
import { layOutImage } from "../deploy/image.ts";
import { containerOf } from "../deploy/pod.ts";
import { eventually } from "../support/eventually.ts";
import { describeNeeding, unlessRequired } from "../support/needing.ts";
import { ROOT } from "../support/platform.ts";

const why = unlessRequired(whyNoContainers());
const describeContainers = describeNeeding(why);

/** Far less than any grace, and far more than a busy machine needs. */
const ENDS_WITHIN_MS = 15_000;

/** What a watchdog without an init says as soon as it begins to handle SIGTERM. */
const HANDLES = "handles SIGTERM";

let folder = "";
let image = "";
let network: Network;

beforeAll(async () => {
  image = layOutImage({ linked: false });
  folder = mkdtempSync(join(tmpdir(), "faaslane-early-"));
  for (const path of [image, folder]) chmodSync(path, 0o755);
  mkdirSync(join(folder, "fn"));
  mkdirSync(join(folder, "tmp"));
  chmodSync(join(folder, "tmp"), 0o1777);
  writeFileSync(join(folder, "fn/index.mjs"), "export default (req, res) => res.end('hi');");
  // Before anything of the program runs.
  const tell = `process.on("newListener", (name) => name === "SIGTERM" && require("fs").writeSync(1, "${HANDLES}"));`;
  writeFileSync(join(folder, "fn/tell.cjs"), tell);
  writeFileSync(join(folder, "fn/never.mjs"), "await new Promise(() => setInterval(() => {}, 1000));");
  if (!why) network = await Network.open();
});
afterAll(async () => {
  await network?.close();
  for (const path of [image, folder]) rmSync(path, { recursive: true, force: true });
});

/** A function's container, with the watchdog as the templates run it, or as the first process itself. */
function watchdog(handler: string, { init = true } = {}): ContainerSpec {
  const node = ["/usr/local/bin/node", "--require=/home/app/tell.cjs", "/usr/bin/watchdog.mjs"];
  return {
    command: init ? ["/usr/local/bin/tini", "-e", "143", "--", ...node] : node,
    env: { mode: "inproc", inproc_handler: handler, port: "0", metrics_port: "0", healthcheck_interval: "0s" },
    uid: 12000,
    gid: 12000,
    mounts: [
      ...IMAGE_PROGRAMS(),
      { from: join(ROOT, "dist/watchdog.mjs"), at: "/usr/bin/watchdog.mjs", readOnly: true },
      { from: join(folder, "fn"), at: "/home/app", readOnly: true },
      { from: join(folder, "tmp"), at: "/tmp", readOnly: false },
    ],
    workingDir: "/home/app",
  };
}

let pods = 0;
function platform(name: string): ContainerSpec {
  const { objects } = render({ queue: { kind: "jetstream" }, basic_auth: false });
  const own = join(folder, `pod-${pods++}`);
  mkdirSync(own);
  const secrets = { "nats-credentials": { "nats-user": "a", "nats-password": "b" } };
  return containerOf(find(objects, "Deployment", name), { folder: own, image, secrets, hosts: "" });
}

/** Ends it. @returns its exit code, and what it said when it ended with another one than 0 */
async function codeOf(container: Container): Promise<unknown> {
  container.terminate();
  const late = delay(ENDS_WITHIN_MS, "still runs", { ref: false });
  const code = await Promise.race([container.ended, late]);
  return code === 0 ? code : { code, output: container.output.slice(-2000) };
}

/** Moments of a start, in milliseconds: from before Node runs until most of it is up, each somewhere near. */
const MOMENTS = [0, 5, 15, 40, 80, 140, 220].map((ms) => Math.round(ms * (0.7 + Math.random() * 0.6)));

describeContainers("SIGTERM ends the first process of a container at once", () => {
  test.each<[what: string, spec: () => ContainerSpec]>([
    ["of a function", () => watchdog("./index.mjs")],
    ["of the gateway", () => platform("gateway")],
    ["of the provider", () => platform("gateway-provider")],
    ["of the queue worker", () => platform("queue-worker")],
  ])(
    "%s, however early",
    async (_what, spec) => {
      for (const ms of MOMENTS) {
        const container = await network.start(spec());
        await delay(ms);
        expect({ ms, code: await codeOf(container) }).toEqual({ ms, code: 0 });
      }
    },
    180_000,
  );

  test("of a function whose image has no init, from the first statement on", async () => {
    const container = await network.start(watchdog("./index.mjs", { init: false }));
    await eventually("it has a handler", () => container.output.includes(HANDLES), 30_000, 1);
    expect(await codeOf(container)).toBe(0);
  });

  test("of a function that never ends to load", async () => {
    const container = await network.start(watchdog("./never.mjs", { init: false }));
    await eventually("it has a handler", () => container.output.includes(HANDLES), 30_000, 1);
    await delay(300);
    expect(await codeOf(container)).toBe(0);
    expect(container.output).toMatch(/Stopped before it took calls/);
  });
});

test("the watchdog's first statement takes SIGTERM, and nothing is imported before it", () => {
  const bundle = readFileSync(join(ROOT, "dist/watchdog.mjs"), "utf8");
  expect(bundle).toMatch(/^process\.on\("SIGTERM",/);
  expect(bundle).not.toMatch(/^import /m);
});
