import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { rawRequest } from "../support/raw-http.ts";
import { MAX_UPLOAD_BYTES, MULTIPART_FORMS } from "./multipart-forms.ts";

/** Uploads that are not the one file and the one field that a build is, or that want to be written elsewhere. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  const env = { build_max_upload_bytes: String(MAX_UPLOAD_BYTES) };
  platform = await Platform.start({ dataDir: join(folder.path, "data"), env });
});

afterAll(async () => {
  await platform.stop();
  expect(await readdir(folder.path)).toEqual(["data"]);
  await folder.remove();
});

test.each(MULTIPART_FORMS)("%s", async (_name, given, expected) => {
  const { type, body, headers = [] } = given();
  const head = [
    "POST /system/build HTTP/1.1",
    `Host: ${new URL(platform.url).host}`,
    `Authorization: ${await platform.authorization()}`,
    `Content-Length: ${body.length}`,
    ...(type === "" ? [] : [`Content-Type: ${type}`]),
    ...headers,
  ];
  const answer = await rawRequest(platform.port, Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  expect(`${answer?.status} ${answer?.body}`).toContain(expected.slice(4));
  expect(`${answer?.status}`).toBe(expected.slice(0, 3));
  expect(answer?.headers.has("x")).toBe(false);
  await eventually(
    "nothing of it is left",
    async () => (await readdir(join(folder.path, "data/uploads"))).length === 0,
  );
});
