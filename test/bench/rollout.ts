/**
 * `npm run bench:rollout`: a canary whose new version fails a fifth of its calls, under a steady load, until it is aborted; and
 * how many calls that has cost. `-- --plot FILE` draws it.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decodeListedRollout, decodeListedVersions } from "../../contract/versions/requests.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { SteadyLoad } from "../support/steady-load.ts";
import { type RolloutSecond, renderRollout } from "./rollout-plot.ts";

const NAME = "shop";
const IMAGE = "shop:1";
const PER_SECOND = 100;
const SAMPLE_MS = 250;
const BEFORE_MS = 5_000;
const AFTER_MS = 10_000;
const PATIENCE_MS = 120_000;
const ANNOTATIONS = {
  "com.faaslane.rollout": "canary",
  "com.faaslane.rollout.steps": "5@5s,25@10m,100",
  // At 5 % there are too few calls in five seconds to tell, so that it is the second step that finds out.
  "com.faaslane.rollout.gate": "errors<5%",
  "com.faaslane.rollout.min-requests": "60",
  "com.faaslane.rollback-window": "5s",
};
const HANDLER = `
  let calls = 0;
  export default (_req, res) => {
    res.statusCode = process.env.FAIL && ++calls % Number(process.env.FAIL) === 0 ? 500 : 200;
    setTimeout(() => res.end("done"), 20);
  };`;

const { plot } = parseArgs({ options: { plot: { type: "string" } } }).values;
const folder = await temporaryFolder();
const platform = await Platform.start({
  dataDir: join(folder.path, "data"),
  cwd: folder.path,
  env: { sandbox: "off" },
});
try {
  const url = `${platform.url}/function/${NAME}`;
  await buildImage(platform, IMAGE, {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
    "index.mjs": HANDLER,
  });
  await deploy("POST", {});
  await eventually("it answers", async () => (await fetch(url)).status === 200, PATIENCE_MS);

  const load = new SteadyLoad(url, PER_SECOND);
  const begunAt = performance.now();
  const seconds: RolloutSecond[] = [];
  let goesOn = true;
  const sampling = (async () => {
    while (goesOn) {
      seconds.push(await sample(load, performance.now() - begunAt));
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  const wait = (ms: number) => {
    const until = performance.now() + ms;
    return eventually("the time is over", () => performance.now() >= until, ms + PATIENCE_MS);
  };
  await wait(BEFORE_MS);
  const deployedAt = performance.now();
  await deploy("PUT", { FAIL: "5" });
  await eventually("it is aborted", async () => (await rollout())?.phase === "aborted", PATIENCE_MS, 50);
  const abortedAt = performance.now();
  await wait(AFTER_MS);
  goesOn = false;
  await sampling;
  await load.stop();

  const failed = load.failures.length;
  const first = load.failures[0]?.begunAt ?? abortedAt;
  const { reason = "" } = (await rollout()) ?? {};
  console.log(`${load.calls.length} calls, ${PER_SECOND} a second; a fifth of the new version's fail`);
  console.log(
    `aborted ${inSeconds(abortedAt - deployedAt)} after the deploy, ${inSeconds(abortedAt - first)} after the first failure: ${reason}`,
  );
  console.log(`${failed} calls failed, ${((failed / load.calls.length) * 100).toFixed(2)} % of all`);
  if (plot !== undefined)
    await writeFile(
      plot,
      renderRollout(
        seconds,
        load.calls.map(({ begunAt: at, status }) => ({ at: at - begunAt, failed: status !== 200 })),
      ),
    );
} finally {
  await platform.stop();
  await folder.remove();
}

async function deploy(method: "POST" | "PUT", envVars: Readonly<Record<string, string>>): Promise<void> {
  const body = JSON.stringify({ service: NAME, image: IMAGE, envVars, annotations: ANNOTATIONS });
  const answer = await platform.control("/system/functions", { method, body });
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
}

async function rollout() {
  const answer = await platform.control(`/system/function/${NAME}/rollout`);
  return decodeListedRollout(await answer.json()).rollout;
}

async function sample({ calls }: SteadyLoad, at: number): Promise<RolloutSecond> {
  const answer = await platform.control(`/system/function/${NAME}/versions`);
  const { versions } = decodeListedVersions(await answer.json());
  const of = (version: string) => versions.find((each) => each.version === version);
  return {
    at,
    calls: calls.length,
    share: (of("v2")?.share ?? 0) / 100,
    stable: of("v1")?.availableReplicas ?? 0,
    candidate: of("v2")?.availableReplicas ?? 0,
  };
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
