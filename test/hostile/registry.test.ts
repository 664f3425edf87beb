import { readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { digestOf } from "../../oci/registry-client.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { blobOf } from "../support/oci-images.ts";
import { codesOf, type OwnRegistry, REGISTRY_LOGIN, startRegistry } from "../support/own-registry.ts";
import { missingSmallDisk, mountSmallDisk } from "../support/small-disk.ts";

/** What a client of our registry may send that means it no good. */
const { signal } = new AbortController();
const MAX_BLOB_BYTES = 2 * 1024 ** 2;
const MAX_UPLOADS = 4;
let own: OwnRegistry;

beforeAll(async () => {
  own = await startRegistry({ maxBlobBytes: MAX_BLOB_BYTES, maxUploads: MAX_UPLOADS, uploadIdleMs: 2_000 });
});
afterAll(() => own.remove());

const uploads = () => readdirSync(join(own.folder, "uploads"));
const begin = async (repository: string) => await own.ask(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
const putManifest = (body: string, type: string = MEDIA_TYPES.manifest, path = "/v2/m/x/manifests/1") =>
  own.ask(path, { method: "PUT", body, headers: { "content-type": type } });

/** A request whose path is sent as it is written. */
async function raw(path: string, method = "GET"): Promise<number> {
  const authorization = `Basic ${btoa(`${REGISTRY_LOGIN.user}:${REGISTRY_LOGIN.password}`)}`;
  const [host = "", port = ""] = own.address.split(":");
  return await new Promise((resolve, reject) => {
    request({ host, port, path, method, headers: { authorization } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });
}

test.each([
  ["dots", "/v2/../../etc/manifests/passwd"],
  ["encoded dots", "/v2/%2e%2e/%2e%2e/etc/manifests/passwd"],
  ["a tag of dots", "/v2/a/manifests/.."],
  ["an encoded slash in a tag", "/v2/a/manifests/x%2f..%2f..%2fy"],
  ["a null byte", "/v2/a%00b/manifests/1"],
  ["a folder of ours as a name", "/v2/a/_tags/manifests/1"],
  ["a digest that is a path", "/v2/a/blobs/sha256:../../../../etc/passwd"],
  ["an upload that is a path", "/v2/a/blobs/uploads/..%2f..%2fx"],
  ["an encoding that is none", "/v2/a%zz/manifests/1"],
])("a path that leaves its place by %s", async (_how, path) => {
  expect([400, 404]).toContain(await raw(path));
});

test("a name that is too long for a folder", async () => {
  expect(await raw(`/v2/${"a/".repeat(400)}b/manifests/1`)).toBe(404);
  expect([400, 404]).toContain(await raw(`/v2/${"a".repeat(300)}/manifests/1`));
});

test.each([
  ["no JSON", "{", "application/json"],
  ["a list", "[]", MEDIA_TYPES.manifest],
  ["another schema", '{"schemaVersion":1}', MEDIA_TYPES.manifest],
  ["layers that are no list", '{"schemaVersion":2,"layers":7}', MEDIA_TYPES.manifest],
  ["a digest that is a path", '{"schemaVersion":2,"layers":[{"digest":"../../x"}]}', MEDIA_TYPES.manifest],
  ["another type than it is sent as", `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.index}"}`, MEDIA_TYPES.manifest],
  ["a type with a line break", '{"schemaVersion":2,"mediaType":"a/b\\r\\nX: y"}', ""],
  ["depths without end", `{"schemaVersion":2,"layers":${"[".repeat(100_000)}`, MEDIA_TYPES.manifest],
  ["more layers than any image", JSON.stringify({ schemaVersion: 2, layers: Array(9000).fill({}) }), ""],
])("a manifest that is %s", async (_what, body, type) => {
  expect(await codesOf(await putManifest(body, type || "application/json"))).toEqual([400, "MANIFEST_INVALID"]);
});

test("a manifest larger than any", async () => {
  const body = JSON.stringify({ schemaVersion: 2, annotations: { x: "x".repeat(5 * 1024 ** 2) } });
  expect(await codesOf(await putManifest(body))).toEqual([413, "MANIFEST_INVALID"]);
});

test("a blob larger than allowed, that says so or does not", async () => {
  const bytes = Buffer.alloc(MAX_BLOB_BYTES + 1);
  for (const chunked of [false, true]) {
    const at = (await begin("l/large")).headers.get("location") as string;
    const body = chunked ? new Blob([bytes]).stream() : new Uint8Array(bytes);
    const answer = await own.ask(at, { method: "PATCH", body, ...(chunked && { duplex: "half" }) } as RequestInit);
    expect(await codesOf(answer)).toEqual([413, "SIZE_INVALID"]);
    expect((await own.ask(at)).status).toBe(404);
  }
});

test("uploads that are begun and left", async () => {
  const answers = await Promise.all(Array.from({ length: 3 * MAX_UPLOADS }, () => begin("u/left")));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 202).length).toBeLessThanOrEqual(MAX_UPLOADS);
  expect(statuses).toContain(429);
  await eventually("they are given up", () => uploads().length === 0, 20_000);
  expect((await begin("u/left")).status).toBe(202);
});

test("two requests with one upload at a time", async () => {
  await eventually("there is room", () => uploads().length < MAX_UPLOADS, 20_000);
  const at = (await begin("u/two")).headers.get("location") as string;
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
  const stop = new AbortController();
  const first = own.ask(at, { method: "PATCH", body, duplex: "half", signal: stop.signal } as RequestInit);
  first.catch(() => {});
  await eventually(
    "the second is refused",
    async () => (await own.ask(at, { method: "PATCH", body: "x" })).status === 409,
    20_000,
  );
  stop.abort();
});

test("somebody else's upload, by another repository's name", async () => {
  await eventually("there is room", () => uploads().length < MAX_UPLOADS, 20_000);
  const at = (await begin("u/mine")).headers.get("location") as string;
  const other = at.replace("u/mine", "u/yours");
  expect(await codesOf(await own.ask(other, { method: "PATCH", body: "x" }))).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
});

test("a page of another site", async () => {
  const headers = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
  expect(await codesOf(await own.ask("/v2/_catalog", { headers }))).toEqual([403, "DENIED"]);
});

test("passwords tried one after the other", async () => {
  const guess = () => own.ask("/v2/", { headers: { authorization: `Basic ${btoa("admin:guess")}` } });
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) statuses.push((await guess()).status);
  expect([statuses[0], statuses.at(-1)]).toEqual([401, 429]);
  expect((await own.ask("/v2/")).status).toBe(200); // the right one is still let in
});

testNeeding(missingSmallDisk())(
  "more than the disk holds",
  async () => {
    const disk = mountSmallDisk(4);
    const small = await startRegistry({ folder: join(disk.path, "registry") });
    try {
      const kept = blobOf(Buffer.from("kept"));
      await small.client.pushBlob("d/kept", kept, signal);
      const large = Buffer.alloc(8 * 1024 ** 2, "x");
      const answer = await small.ask(`/v2/d/large/blobs/uploads/?digest=${digestOf(large)}`, {
        method: "POST",
        body: new Uint8Array(large),
      });
      expect(await codesOf(answer)).toEqual([507, "UNAVAILABLE"]);
      expect(readdirSync(join(disk.path, "registry/uploads"))).toEqual([]);
      disk.fill();
      const config = { mediaType: MEDIA_TYPES.config, digest: kept.digest, size: 4 };
      const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config, layers: [] });
      const put = () =>
        small.ask("/v2/d/kept/manifests/1", {
          method: "PUT",
          body,
          headers: { "content-type": MEDIA_TYPES.manifest },
        });
      expect(await codesOf(await put())).toEqual([507, "UNAVAILABLE"]);
      expect((await small.ask("/v2/d/kept/manifests/1")).status).toBe(404);
      expect((await small.client.fetchBlob("d/kept", kept.digest, 10, signal)).toString()).toBe("kept");
      disk.clear();
      expect((await put()).status).toBe(201);
    } finally {
      await small.remove();
      disk.remove();
    }
  },
  60_000,
);
