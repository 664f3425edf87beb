import { existsSync } from "node:fs";
import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { parseManifest } from "../../oci/manifests.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { buildIndex } from "../../oci/push-image.ts";
import { blobOf, pushBase } from "../support/oci-images.ts";
import { codesOf, type OwnRegistry, startRegistry } from "../support/own-registry.ts";
import { temporaryFolder } from "../support/platform.ts";

const { signal } = new AbortController();
const HOUR_MS = 3600e3;
const KEPT = Number.POSITIVE_INFINITY;

let own: OwnRegistry;
let files: Awaited<ReturnType<typeof temporaryFolder>>;

beforeEach(async () => {
  own = await startRegistry();
  files = await temporaryFolder();
  await mkdir(join(files.path, "etc"));
});
afterEach(async () => {
  await own.remove();
  await files.remove();
});

/** An image whose layer no other one has. */
async function pushImage(repository: string, tag: string): Promise<string> {
  await writeFile(join(files.path, "etc/name"), `${repository}:${tag}`);
  return await pushBase(own.client, repository, tag, { layers: [{ folder: files.path, at: "/" }] });
}

const collect = (afterMs: number, keepUntaggedMs = KEPT) =>
  own.registry.store.collect({ graceMs: HOUR_MS, keepUntaggedMs, now: Date.now() + afterMs, signal });

const blobPath = (digest: string) => join(own.folder, "blobs/sha256", digest.slice(7, 9), digest.slice(7));

/** Makes all that is there look as if nobody had used it for two hours. */
async function age(): Promise<void> {
  const then = new Date(Date.now() - 2 * HOUR_MS);
  for (const name of await readdir(own.folder, { recursive: true })) await utimes(join(own.folder, name), then, then);
}

test("what no image needs goes after its grace, and what one needs stays", async () => {
  const digest = await pushImage("a/kept", "1");
  const orphan = blobOf(Buffer.from("of nobody"));
  await own.client.pushBlob("a/kept", orphan, signal);
  expect(await collect(0)).toEqual({ manifests: 0, blobs: 0, bytes: 0 });
  expect(await collect(2 * HOUR_MS)).toEqual({ manifests: 0, blobs: 1, bytes: 9 });
  expect(existsSync(blobPath(orphan.digest))).toBe(false);
  const { bytes } = await own.client.fetchManifest("a/kept", "1", signal);
  const { config, layers } = parseManifest(bytes, "it");
  for (const blob of [config, ...layers]) await own.client.fetchBlob("a/kept", blob.digest, 1e6, signal);
  expect((await own.client.fetchManifest("a/kept", digest, signal)).digest).toBe(digest);
});

test("a removed image goes with its blobs, but for those that another one has", async () => {
  const shared = await pushImage("b/one", "1");
  const [layer] = parseManifest((await own.client.fetchManifest("b/one", "1", signal)).bytes, "it").layers;
  await pushBase(own.client, "b/two", "1", { layers: [{ folder: files.path, at: "/" }], env: ["OTHER=1"] });
  await own.ask(`/v2/b/one/manifests/${shared}`, { method: "DELETE" });
  expect((await collect(2 * HOUR_MS)).blobs).toBe(2); // manifest and configuration
  expect(existsSync(blobPath(layer?.digest as string))).toBe(true);
  expect(await codesOf(await own.ask(`/v2/b/one/blobs/${layer?.digest}`))).toEqual([404, "BLOB_UNKNOWN"]);
});

test("a blob that a push has just asked for stays until its manifest comes", async () => {
  const digest = await pushImage("c/again", "1");
  const found = await own.client.fetchManifest("c/again", "1", signal);
  const { config, layers } = parseManifest(found.bytes, "it");
  await own.ask(`/v2/c/again/manifests/${digest}`, { method: "DELETE" });
  await age();
  for (const blob of [config, ...layers]) expect(await own.client.hasBlob("c/again", blob.digest, signal)).toBe(true);
  await collect(0);
  await own.client.pushManifest("c/again", "1", { bytes: found.bytes, mediaType: MEDIA_TYPES.manifest }, signal);
  await collect(2 * HOUR_MS);
  for (const blob of layers) await own.client.fetchBlob("c/again", blob.digest, 1e6, signal);
});

test("a mount keeps what it mounts from the collector", async () => {
  const blob = blobOf(Buffer.from("mounted"));
  await own.client.pushBlob("d/from", blob, signal);
  await age();
  const mounted = await own.ask(`/v2/d/to/blobs/uploads/?mount=${blob.digest}&from=d/from`, { method: "POST" });
  expect(mounted.status).toBe(201);
  await collect(0);
  expect((await own.client.fetchBlob("d/to", blob.digest, 100, signal)).toString()).toBe("mounted");
});

test("images without a tag stay for good, or for as long as they are to", async () => {
  const former = await pushImage("e/app", "latest");
  const now = await pushImage("e/app", "latest-2");
  await own.ask("/v2/e/app/manifests/latest", { method: "DELETE" });
  expect((await collect(1000 * HOUR_MS)).manifests).toBe(0);
  expect((await collect(10 * HOUR_MS, 24 * HOUR_MS)).manifests).toBe(0);
  expect((await collect(25 * HOUR_MS, 24 * HOUR_MS)).manifests).toBe(1);
  expect(await codesOf(await own.ask(`/v2/e/app/manifests/${former}`))).toEqual([404, "MANIFEST_UNKNOWN"]);
  expect((await own.client.fetchManifest("e/app", now, signal)).digest).toBe(now);
});

test("what a tagged index names needs no tag of its own", async () => {
  const digest = await pushImage("f/app", "amd64");
  const platform = { os: "linux", architecture: "amd64" };
  const index = buildIndex([{ digest, size: 1, mediaType: MEDIA_TYPES.manifest, platform }]);
  await own.client.pushManifest("f/app", "all", index, signal);
  await own.ask("/v2/f/app/manifests/amd64", { method: "DELETE" });
  expect(await collect(1000 * HOUR_MS, HOUR_MS)).toEqual({ manifests: 0, blobs: 0, bytes: 0 });
  expect((await own.client.fetchManifest("f/app", digest, signal)).digest).toBe(digest);
});

test("pushes while it collects again and again are whole afterwards", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `g/app-${i % 4}`);
  let done = false;
  const collecting = (async () => {
    // No grace but the one that a push of a moment needs.
    while (!done) {
      await own.registry.store.collect({ graceMs: 5_000, keepUntaggedMs: KEPT, now: Date.now(), signal });
    }
  })();
  for (const [i, name] of names.entries()) {
    await pushImage(name, `t${i}`);
    if (i % 3 === 0) await own.ask(`/v2/${name}/manifests/t${i}`, { method: "DELETE" });
  }
  done = true;
  await collecting;
  for (const [i, name] of names.entries()) {
    if (i % 3 === 0) continue;
    const { bytes } = await own.client.fetchManifest(name, `t${i}`, signal);
    for (const { digest } of parseManifest(bytes, "it").layers) await own.client.fetchBlob(name, digest, 1e6, signal);
  }
});
