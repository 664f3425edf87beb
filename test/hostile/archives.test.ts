import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { BuildEvent } from "../../contract/build.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { ARCHIVE_FORMS, LIMITS } from "./archive-forms.ts";

/** Build contexts that want out of their folder, or to be larger than allowed. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let dataDir: string;
/** Nothing may come here. */
let outside: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  dataDir = join(folder.path, "data");
  outside = join(folder.path, "outside");
  await mkdir(outside);
  const env = { build_max_bytes: String(LIMITS.maxBytes), build_max_entries: String(LIMITS.maxEntries) };
  platform = await Platform.start({ dataDir, env });
});

afterAll(async () => {
  await platform.stop();
  expect(await readdir(outside)).toEqual([]);
  expect((await readdir(folder.path)).sort()).toEqual(["data", "outside"]);
  await folder.remove();
});

async function build(archive: Buffer): Promise<{ status: number; text: string }> {
  const form = new FormData();
  form.set("config", JSON.stringify({ image: "test:1" }));
  form.set("context", new Blob([new Uint8Array(archive)]), "context.tar");
  const answer = await platform.control("/system/build", { method: "POST", body: form });
  return { status: answer.status, text: await answer.text() };
}

/** Files below a folder by their path: mode and content. */
async function filesIn(root: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const mode = ((await stat(path)).mode & 0o7777).toString(8);
    files[path.slice(root.length + 1)] = entry.isFile() ? `${mode} ${await readFile(path, "utf8")}` : "not a file";
  }
  return files;
}

test.each(ARCHIVE_FORMS)("%s", async (_name, archive, expected) => {
  const { status, text } = await build(archive(outside));
  if (typeof expected === "string") {
    expect([status, text]).toEqual([expect.any(Number), expect.stringContaining(expected)]);
    expect([400, 413]).toContain(status);
  } else {
    const last = JSON.parse(text.trim().split("\n").at(-1) as string) as BuildEvent;
    if (last.status !== "success") throw new Error(text);
    expect(await filesIn(join(dataDir, "artefacts", last.image.replace(/^.*@sha256:/, "")))).toEqual(expected);
  }
  await eventually("nothing unfinished is left", async () => {
    const left = await Promise.all(["builds", "uploads"].map((name) => readdir(join(dataDir, name))));
    return left.flat().length === 0;
  });
  expect(await readdir(outside)).toEqual([]);
});
