import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";
import { CALL_ROWS } from "./call-rows.ts";
import { CONTROL_ROWS, REFLECT } from "./control-rows.ts";
import { GATEWAY } from "./differences.ts";
import { expectFacts, withAuthorization } from "./facts.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({
    dataDir: folder.path,
    env: { upstream_timeout: "3s", allowed_hosts: "gw.test" },
  });
  await buildImage(platform, REFLECT.image, {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./reflect.mjs" } }),
    "reflect.mjs": readFileSync(join(ROOT, "test/support/reflect.mjs"), "utf8"),
  });
  const deployed = await platform.control("/system/functions", { method: "POST", body: JSON.stringify(REFLECT) });
  expect(deployed.status).toBe(202);
  await eventually("reflect answers", async () => (await fetch(`${platform.url}/function/reflect`)).status === 200);
});

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
});

describe("calls of functions", () => {
  test.each(CALL_ROWS.map((row) => [row[0], row] as const))("%s", async (_name, row) => {
    expectFacts(await rawRequest(platform.port, row[1]), row);
  });
});

describe("control routes", () => {
  test.each(CONTROL_ROWS.map((row) => [row[0], row] as const))("%s", async (_name, row) => {
    const isSystem = / \/system\//.test(row[1]);
    const request = isSystem ? withAuthorization(row[1], await platform.authorization()) : row[1];
    expectFacts(await rawRequest(platform.port, request), row);
  });
});

const names = [...CALL_ROWS, ...CONTROL_ROWS].map(([name]) => name);

test("each row has a name of its own, and each difference is one of a row", () => {
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(Object.keys(GATEWAY).filter((name) => !names.includes(name))).toEqual([]);
});
