import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { RecordingFunction } from "../support/recording-function.ts";

test("how often a function was called outlives the platform, and goes with the function", async () => {
  const folder = await temporaryFolder();
  const recording = await RecordingFunction.open();
  const start = () => Platform.start({ dataDir: folder.path });
  const count = async (platform: Platform) => {
    const answer = await platform.control("/system/functions");
    const [f] = (await answer.json()) as { invocationCount?: number }[];
    return f && (f.invocationCount ?? 0); // left out when it is 0, as OpenFaaS does
  };
  const call = async (platform: Platform) => (await fetch(`${platform.url}/function/f/x`)).status;

  const first = await start();
  await recording.deploy(first, "f");
  await eventually("it is called", async () => (await call(first)) === 200);
  await eventually("that is counted", async () => (await count(first)) === 1);
  expect(await first.stop()).toBe(0);

  const second = await start();
  expect(await count(second)).toBe(1);
  await eventually("it is called", async () => (await call(second)) === 200);
  await eventually("that is counted", async () => (await count(second)) === 2);
  const removed = await second.control("/system/functions", {
    method: "DELETE",
    body: JSON.stringify({ functionName: "f" }),
  });
  expect(removed.status).toBe(202);
  await eventually("it is gone", async () => (await count(second)) === undefined);
  expect(await second.stop()).toBe(0);

  const third = await start();
  await recording.deploy(third, "f");
  expect(await count(third)).toBe(0);
  expect(await third.stop()).toBe(0);
  await recording.close();
  await folder.remove();
});
