import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";
import { carryOut } from "../support/rough-connection.ts";
import { MAX_UPLOAD_BYTES, MULTIPART_FORMS } from "./multipart-forms.ts";

/** Uploads that are not the one file and the one field that a build is, or that want to be written elsewhere. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  const env = { build_max_upload_bytes: String(MAX_UPLOAD_BYTES), log_level: "info" };
  platform = await Platform.start({ dataDir: join(folder.path, "data"), env });
});

afterAll(async () => {
  await platform.stop();
  expect(await readdir(folder.path)).toEqual(["data"]);
  await folder.remove();
});

/** @param type of the body; none is told when empty */
async function requestWith(type: string, body: string, headers: readonly string[] = []): Promise<Buffer> {
  const head = [
    "POST /system/build HTTP/1.1",
    `Host: ${new URL(platform.url).host}`,
    `Authorization: ${await platform.authorization()}`,
    `Content-Length: ${body.length}`,
    ...(type === "" ? [] : [`Content-Type: ${type}`]),
    ...headers,
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1");
}

const nothingLeft = () =>
  eventually("nothing of it is left", async () => (await readdir(join(folder.path, "data/uploads"))).length === 0);

test.each(MULTIPART_FORMS)("%s", async (_name, given, expected) => {
  const { type, body, headers } = given();
  const answer = await rawRequest(platform.port, await requestWith(type, body, headers));
  expect(`${answer?.status} ${answer?.body}`).toContain(expected.slice(4));
  expect(`${answer?.status}`).toBe(expected.slice(0, 3));
  expect(answer?.headers.has("x")).toBe(false);
  await nothingLeft();
});

test.each(["finish", "reset", "leave"] as const)(
  "uploads that are whole, but whose sender is gone, keep no place of others: %s",
  async (end) => {
    const good = MULTIPART_FORMS.find(([, , expected]) => expected.startsWith("200")) as (typeof MULTIPART_FORMS)[0];
    const { type, body } = good[1]();
    const request = await requestWith(type, body);
    const plan = { pieces: [{ bytes: request, pauseMs: 0 }], end, deaf: false, waitMs: 5_000 };
    for (const port of [platform.port, platform.providerPort]) {
      await Promise.all(Array.from({ length: 12 }, () => carryOut(port, plan)));
    }
    // The platform may not have read all of them yet, so a next one may find them in its way for a moment.
    const taken = async () => (await rawRequest(platform.port, request))?.status === 200;
    await eventually("a next upload is taken", taken);
    await nothingLeft();
  },
);
