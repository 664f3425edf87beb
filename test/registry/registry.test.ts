import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { buildIndex } from "../../oci/push-image.ts";
import { digestOf } from "../../oci/registry-client.ts";
import { DockerRegistry, describeWithRegistry } from "../support/docker-registry.ts";
import { testNeeding } from "../support/needing.ts";
import { blobOf, pushBase } from "../support/oci-images.ts";
import { codesOf, type OwnRegistry, REGISTRY_LOGIN, startRegistry } from "../support/own-registry.ts";
import { temporaryFolder } from "../support/platform.ts";

const run = promisify(execFile);
const { signal } = new AbortController();
const noSkopeo = await run("skopeo", ["--version"]).then(
  () => undefined,
  () => "skopeo is not installed",
);

let own: OwnRegistry;
let files: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  own = await startRegistry();
  files = await temporaryFolder();
  await mkdir(join(files.path, "etc"));
  await writeFile(join(files.path, "etc/name"), randomBytes(100_000));
});
afterAll(async () => {
  await own.remove();
  await files.remove();
});

const pushImage = (repository: string, tag: string, to = own) =>
  pushBase(to.client, repository, tag, { layers: [{ folder: files.path, at: "/" }] });

const put = (path: string, bytes: string | Buffer, type: string = MEDIA_TYPES.manifest) =>
  own.ask(path, { method: "PUT", body: new Uint8Array(Buffer.from(bytes)), headers: { "content-type": type } });

/** Begins an upload. @returns where it goes on */
async function begin(repository: string): Promise<string> {
  const begun = await own.ask(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(begun.status).toBe(202);
  return begun.headers.get("location") as string;
}

describe("blobs", () => {
  test("one is pushed once, read again, and mounted elsewhere without being sent", async () => {
    const blob = blobOf(Buffer.from("some bytes"));
    expect(await own.client.pushBlob("a/one", blob, signal)).toBe(true);
    expect(await own.client.pushBlob("a/one", blob, signal)).toBe(false);
    expect((await own.client.fetchBlob("a/one", blob.digest, 100, signal)).toString()).toBe("some bytes");
    const unsent = { ...blob, open: () => Promise.reject(new Error("it is sent")) };
    expect(await own.client.pushBlob("a/two", unsent, signal, "a/one")).toBe(false);
    expect(await own.client.hasBlob("a/two", blob.digest, signal)).toBe(true);
  });

  test("a repository has only what was pushed to it", async () => {
    const blob = blobOf(Buffer.from("of one repository"));
    await own.client.pushBlob("b/one", blob, signal);
    expect(await codesOf(await own.ask(`/v2/b/other/blobs/${blob.digest}`))).toEqual([404, "BLOB_UNKNOWN"]);
    expect(await own.client.pushBlob("b/other", blob, signal, "b/nowhere")).toBe(true);
  });

  test("chunks are put together, and the state of an upload can be asked for", async () => {
    const at = await begin("c/chunks");
    const first = await own.ask(at, { method: "PATCH", body: "0123456789", headers: { "content-range": "0-9" } });
    expect([first.status, first.headers.get("range")]).toEqual([202, "0-9"]);
    const wrong = await own.ask(at, { method: "PATCH", body: "x", headers: { "content-range": "5-5" } });
    expect([wrong.status, wrong.headers.get("range")]).toEqual([416, "0-9"]);
    const state = await own.ask(at);
    expect([state.status, state.headers.get("range")]).toEqual([204, "0-9"]);
    const digest = digestOf(Buffer.from("0123456789abc"));
    const done = await own.ask(`${at}?digest=${encodeURIComponent(digest)}`, { method: "PUT", body: "abc" });
    expect([done.status, done.headers.get("docker-content-digest")]).toEqual([201, digest]);
    expect(await (await own.ask(done.headers.get("location") as string)).text()).toBe("0123456789abc");
    expect(await codesOf(await own.ask(at))).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  });

  test("one request is enough", async () => {
    const digest = digestOf(Buffer.from("whole"));
    const done = await own.ask(`/v2/c/whole/blobs/uploads/?digest=${digest}`, { method: "POST", body: "whole" });
    expect(done.status).toBe(201);
    expect(await own.client.hasBlob("c/whole", digest, signal)).toBe(true);
  });

  test("an upload that breaks off goes on where it was", async () => {
    const at = await begin("c/broken");
    const bytes = randomBytes(300_000);
    const authorization = `Basic ${btoa(`${REGISTRY_LOGIN.user}:${REGISTRY_LOGIN.password}`)}`;
    const broken = request(new URL(at, `http://${own.address}`), {
      method: "PATCH",
      headers: { "content-length": bytes.length, authorization },
    });
    broken.on("error", () => {});
    await new Promise((sent) => broken.write(bytes.subarray(0, 200_000), sent));
    broken.destroy();
    let have = 0;
    for (let tries = 0; tries < 400 && have === 0; tries++) {
      const again = await own.ask(at, { method: "PATCH", body: "", headers: { "content-length": "0" } });
      if (again.status === 202) have = Number(again.headers.get("range")?.split("-")[1]) + 1;
      if (have === 1) have = 0; // nothing of it has come yet
      await new Promise((wait) => setTimeout(wait, 25));
    }
    const rest = new Uint8Array(bytes.subarray(have));
    const done = await own.ask(`${at}?digest=${digestOf(bytes)}`, { method: "PUT", body: rest });
    expect(done.status).toBe(201);
    expect(await own.client.fetchBlob("c/broken", digestOf(bytes), 1e6, signal)).toEqual(bytes);
  });

  test("bytes of another digest are refused, and nothing of them stays", async () => {
    const lie = { ...blobOf(Buffer.from("a lie")), digest: `sha256:${"0".repeat(64)}` };
    await expect(own.client.pushBlob("c/lies", lie, signal)).rejects.toThrow(/DIGEST_INVALID/);
    expect(await own.client.hasBlob("c/lies", lie.digest, signal)).toBe(false);
    expect((await readdir(join(own.folder, "uploads"))).length).toBe(0);
  });

  test("an upload can be given up", async () => {
    const at = await begin("c/given-up");
    expect((await own.ask(at, { method: "DELETE" })).status).toBe(204);
    expect(await codesOf(await own.ask(at, { method: "PATCH", body: "x" }))).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  });

  test.each([
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=5-100", 206, "56789", "bytes 5-9/10"],
    ["bytes=1-2,4-5", 200, "0123456789", null],
  ])("the range %s is answered with %i", async (range, status, text, told) => {
    const blob = blobOf(Buffer.from("0123456789"));
    await own.client.pushBlob("d/ranges", blob, signal);
    const answer = await own.ask(`/v2/d/ranges/blobs/${blob.digest}`, { headers: { range } });
    expect([answer.status, await answer.text(), answer.headers.get("content-range")]).toEqual([status, text, told]);
  });

  test("a range behind the end is 416", async () => {
    const blob = blobOf(Buffer.from("0123456789"));
    await own.client.pushBlob("d/ranges", blob, signal);
    const answer = await own.ask(`/v2/d/ranges/blobs/${blob.digest}`, { headers: { range: "bytes=10-" } });
    expect([answer.status, answer.headers.get("content-range")]).toEqual([416, "bytes */10"]);
  });
});

describe("manifests", () => {
  test("one is read by its tag and its digest, as it was sent and with its type", async () => {
    const digest = await pushImage("e/image", "1");
    for (const reference of ["1", digest]) {
      const head = await own.ask(`/v2/e/image/manifests/${reference}`, { method: "HEAD" });
      expect([head.status, head.headers.get("docker-content-digest")]).toEqual([200, digest]);
      expect(head.headers.get("content-type")).toBe(MEDIA_TYPES.manifest);
      expect((await own.client.fetchManifest("e/image", reference, signal)).digest).toBe(digest);
    }
  });

  test("one that names what is not there is refused", async () => {
    const lacking = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, digest: digestOf(Buffer.from("nowhere")), size: 7 },
      layers: [],
    });
    expect(await codesOf(await put("/v2/e/lacking/manifests/1", lacking))).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    expect(await codesOf(await own.ask("/v2/e/lacking/manifests/1"))).toEqual([404, "MANIFEST_UNKNOWN"]);
    expect(await codesOf(await own.ask("/v2/e/lacking/tags/list"))).toEqual([404, "NAME_UNKNOWN"]);
  });

  test("an index needs its images in the same repository", async () => {
    const digest = await pushImage("e/part", "1");
    const platform = { os: "linux", architecture: "amd64" };
    const index = buildIndex([{ digest, size: 1, mediaType: MEDIA_TYPES.manifest, platform }]);
    expect((await put("/v2/e/part/manifests/all", index.bytes, index.mediaType)).status).toBe(201);
    const elsewhere = await put("/v2/e/nowhere/manifests/all", index.bytes, index.mediaType);
    expect(await codesOf(elsewhere)).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
  });

  test("a digest that is not its own is refused", async () => {
    const wrong = await put(`/v2/e/image/manifests/sha256:${"1".repeat(64)}`, '{"schemaVersion":2}');
    expect(await codesOf(wrong)).toEqual([400, "DIGEST_INVALID"]);
  });

  test("a tag is taken away alone, a manifest with its tags", async () => {
    const digest = await pushImage("f/gone", "1");
    await pushImage("f/gone", "2");
    expect((await own.ask("/v2/f/gone/manifests/1", { method: "DELETE" })).status).toBe(202);
    expect(await (await own.ask("/v2/f/gone/tags/list")).json()).toEqual({ name: "f/gone", tags: ["2"] });
    expect((await own.ask(`/v2/f/gone/manifests/${digest}`, { method: "DELETE" })).status).toBe(202);
    expect(await codesOf(await own.ask("/v2/f/gone/manifests/2"))).toEqual([404, "MANIFEST_UNKNOWN"]);
  });

  test("tags and repositories are listed page by page", async () => {
    for (const tag of ["b", "a", "c"]) await pushImage("g/pages", tag);
    const first = await own.ask("/v2/g/pages/tags/list?n=2");
    expect(await first.json()).toEqual({ name: "g/pages", tags: ["a", "b"] });
    const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1] as string;
    const second = await own.ask(next);
    expect([await second.json(), second.headers.get("link")]).toEqual([{ name: "g/pages", tags: ["c"] }, null]);
    const { repositories } = (await (await own.ask("/v2/_catalog")).json()) as { repositories: string[] };
    expect(repositories).toContain("g/pages");
    expect(repositories).toEqual(repositories.toSorted());
  });
});

describe("logins", () => {
  test("nobody gets in without the password, and is told how", async () => {
    for (const authorization of ["", `Basic ${btoa("admin:wrong")}`]) {
      const answer = await own.ask("/v2/", { headers: { authorization } });
      expect(answer.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
      expect(await codesOf(answer)).toEqual([401, "UNAUTHORIZED"]);
    }
    expect((await own.ask("/v2/")).status).toBe(200);
  });

  test("where images are for everybody, reading takes no password, and writing does", async () => {
    const open = await startRegistry({ anonymousPull: true });
    try {
      const digest = await pushImage("h/open", "1", open);
      const anonymous = (path: string, init?: RequestInit) => fetch(`http://${open.address}${path}`, init);
      expect((await anonymous(`/v2/h/open/manifests/${digest}`)).status).toBe(200);
      expect((await anonymous("/v2/")).status).toBe(401); // else clients that will write would not log in
      const written = await anonymous("/v2/h/open/blobs/uploads/", { method: "POST" });
      expect(await codesOf(written)).toEqual([401, "UNAUTHORIZED"]);
    } finally {
      await open.remove();
    }
  });
});

test("what is stored is there after a restart; an upload under way is not", async () => {
  const first = await startRegistry();
  const digest = await pushImage("i/kept", "1", first);
  const begun = await first.ask("/v2/i/kept/blobs/uploads/", { method: "POST" });
  await first.registry.close(1_000);
  const second = await startRegistry({ folder: first.folder });
  expect((await second.client.fetchManifest("i/kept", "1", signal)).digest).toBe(digest);
  const lost = await second.ask(begun.headers.get("location") as string, { method: "PATCH", body: "x" });
  expect(await codesOf(lost)).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  await second.remove();
  await first.remove();
});

testNeeding(noSkopeo)(
  "skopeo reads and writes it",
  async () => {
    await pushImage("j/image", "1");
    const creds = `${REGISTRY_LOGIN.user}:${REGISTRY_LOGIN.password}`;
    const folder = `dir:${join(files.path, "skopeo")}`;
    const from = ["--src-tls-verify=false", "--src-creds", creds];
    const to = ["--dest-tls-verify=false", "--dest-creds", creds];
    await run("skopeo", ["copy", ...from, `docker://${own.address}/j/image:1`, folder]);
    await run("skopeo", ["copy", ...to, folder, `docker://${own.address}/j/back:2`]);
    const shown = await run("skopeo", [
      ...["inspect", "--tls-verify=false", "--creds", creds],
      `docker://${own.address}/j/back:2`,
    ]);
    const [pushed, back] = await Promise.all(
      ["j/image:1", "j/back:2"].map((image) => {
        const [repository = "", tag = ""] = image.split(":");
        return own.client.fetchManifest(repository, tag, signal);
      }),
    );
    expect(back?.digest).toBe(pushed?.digest);
    expect(JSON.parse(shown.stdout)).toMatchObject({ Digest: back?.digest, RepoTags: ["2"] });
  },
  60_000,
);

describeWithRegistry("beside Debian's registry", () => {
  testNeeding(noSkopeo)(
    "images go from one to the other and back",
    async () => {
      const peer = await DockerRegistry.start();
      try {
        const digest = await pushImage("k/image", "1");
        const creds = `${REGISTRY_LOGIN.user}:${REGISTRY_LOGIN.password}`;
        const off = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        const [ours, theirs] = [`docker://${own.address}`, `docker://${peer.address}`];
        await run("skopeo", ["copy", ...off, "--src-creds", creds, `${ours}/k/image:1`, `${theirs}/k/there:1`]);
        await run("skopeo", ["copy", ...off, "--dest-creds", creds, `${theirs}/k/there:1`, `${ours}/k/back:1`]);
        expect((await own.client.fetchManifest("k/back", "1", signal)).digest).toBe(digest);
      } finally {
        await peer.remove();
      }
    },
    60_000,
  );
});

test("a blob of many chunks arrives whole, and is not held in memory", async () => {
  const piece = randomBytes(1024 ** 2);
  const hash = createHash("sha256");
  for (let i = 0; i < 64; i++) hash.update(piece);
  const digest = `sha256:${hash.digest("hex")}`;
  const { Readable } = await import("node:stream");
  const size = 64 * piece.length;
  const open = () => Readable.from(Array.from({ length: 64 }, () => piece));
  expect(await own.client.pushBlob("l/large", { digest, size, open }, signal)).toBe(true);
  const back = createHash("sha256");
  for await (const chunk of await own.client.openBlob("l/large", digest, signal)) back.update(chunk as Buffer);
  expect(`sha256:${back.digest("hex")}`).toBe(digest);
});
