import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import type { Platform } from "./platform.ts";

/**
 * Builds an image from files through `POST /system/build`, as any client may.
 * @param files by path in the context
 * @throws with the builder's words when it fails
 */
export async function buildImage(
  platform: Pick<Platform, "control">,
  image: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-context-"));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    const archive = create({ cwd: folder, gzip: true, portable: true }, Object.keys(files));
    const form = new FormData();
    form.set("config", JSON.stringify({ image }));
    form.set("context", new Blob([(await archive.concat()) as Uint8Array<ArrayBuffer>]), "context.tar.gz");
    const response = await platform.control("/system/build", { method: "POST", body: form });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`build refused: ${response.status} ${text}`);
    const last = text.trim().split("\n").at(-1) as string;
    const ended = JSON.parse(last) as { status: string; image?: string };
    if (ended.status !== "success") throw new Error(`build failed: ${text}`);
    return ended.image as string;
  } finally {
    await rm(folder, { recursive: true });
  }
}
