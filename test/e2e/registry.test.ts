import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { RegistryClient } from "../../oci/registry-client.ts";
import { eventually } from "../support/eventually.ts";
import { blobOf } from "../support/oci-images.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

const run = promisify(execFile);
const { signal } = new AbortController();

/** A registry beside the platform of one machine. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
const start = () => Platform.start({ dataDir: join(folder.path, "data"), env: { registry_port: "0" } });
const addressOf = ({ stdout }: Platform) => /registry {3}(127\.0\.0\.1:\d+)\n/.exec(stdout)?.[1] as string;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await start();
}, 60_000);
afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
});

async function client(): Promise<RegistryClient> {
  const password = (await readFile(join(folder.path, "data/basic-auth-password"), "utf8")).trim();
  return new RegistryClient({ registry: addressOf(platform), login: { username: "admin", password } });
}

test("it takes the platform's password, and keeps over kill -9 what it has said to have", async () => {
  expect((await fetch(`http://${addressOf(platform)}/v2/`)).status).toBe(401);
  const kept = blobOf(Buffer.from("kept"));
  const before = await client();
  expect(await before.pushBlob("a/kept", kept, signal)).toBe(true);
  platform.kill("SIGKILL");
  await platform.ended;
  platform = await start();
  const after = await client();
  expect((await after.fetchBlob("a/kept", kept.digest, 100, signal)).toString()).toBe("kept");
}, 90_000);

test("without registry_port there is none", async () => {
  const other = await Platform.start({ dataDir: join(folder.path, "other") });
  try {
    expect(other.stdout).not.toContain("registry");
  } finally {
    await other.stop();
  }
}, 60_000);

test("a blob that is killed in the middle of its upload is not there, and its bytes are not either", async () => {
  const bytes = Buffer.alloc(4 * 1024 ** 2, "x");
  const { open, digest } = blobOf(bytes);
  const slow = async () => {
    const source = open();
    const { Readable } = await import("node:stream");
    return Readable.from(
      (async function* () {
        for await (const chunk of source) {
          yield (chunk as Buffer).subarray(0, 1024 ** 2);
          await new Promise(() => {}); // the rest never comes
        }
      })(),
    );
  };
  const upload = (await client()).pushBlob("a/cut", { digest, size: bytes.length, open: slow }, signal);
  const cut = upload.then(
    () => "pushed",
    () => "cut",
  );
  const data = join(folder.path, "data/registry");
  const files = async () => (await run("find", [data, "-type", "f", "-size", "+100k"])).stdout.trim();
  await eventually("some of it has come", async () => (await files()) !== "", 30_000);
  platform.kill("SIGKILL");
  await platform.ended;
  expect(await cut).toBe("cut");
  platform = await start();
  expect(await files()).toBe("");
  expect(await (await client()).hasBlob("a/cut", digest, signal)).toBe(false);
}, 90_000);
