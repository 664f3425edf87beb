import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Pack } from "tar/pack";
import { stripEnd } from "../contract/strip-end.ts";
import type { BlobSource } from "./registry-client.ts";

/** A layer of an image, as a file. */
export interface Layer extends BlobSource {
  /** Of what it unpacks to, which is what images name layers by. */
  readonly diffId: string;
}

export interface LayerContent {
  /** Its files, folders and symbolic links are taken; links are not followed. */
  readonly folder: string;
  /** Where the image has them: an absolute path. */
  readonly at: string;
  /** Whether a path below the folder is taken, with what it holds; all are when absent. */
  readonly filter?: (path: string) => boolean;
}

/** Fixed, so that the same files are the same bytes. */
const LEVEL = 6;

/**
 * Writes a layer to `path`. The same content makes the same bytes: entries are sorted, belong to root, were changed in 1970,
 * and have no permission of their own but the one to execute.
 * @throws {Error} when the folder holds something else than files, folders and symbolic links, or changes meanwhile
 * @see https://github.com/opencontainers/image-spec/blob/main/layer.md
 */
export async function writeLayer(content: LayerContent, path: string, signal: AbortSignal): Promise<Layer> {
  const paths = await pathsBelow(content.folder, "", content.filter);
  const prefix = stripEnd(content.at.replace(/^\/+/, ""), "/");
  const pack = new Pack({
    cwd: content.folder,
    prefix,
    portable: true,
    mtime: new Date(0),
    noDirRecurse: true,
    follow: false,
    strict: true,
    onWriteEntry: (entry) => {
      if (entry.stat) entry.stat.mode = (entry.stat.mode & ~0o7777) | modeOf(entry.stat);
    },
  });
  const [diffId, digest] = [createHash("sha256"), createHash("sha256")];
  const draft = `${path}.new`;
  const written = pipeline(
    pack,
    hashing(diffId),
    createGzip({ level: LEVEL }),
    hashing(digest),
    createWriteStream(draft, { mode: 0o600 }),
    { signal },
  );
  for (const entry of paths) pack.write(entry);
  pack.end();
  await written;
  await rename(draft, path);
  return {
    digest: `sha256:${digest.digest("hex")}`,
    diffId: `sha256:${diffId.digest("hex")}`,
    size: (await stat(path)).size,
    open: () => createReadStream(path),
  };
}

function modeOf(stats: { mode: number; isDirectory(): boolean }): number {
  return stats.isDirectory() || (stats.mode & 0o111) !== 0 ? 0o755 : 0o644;
}

function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

/** Folders come before what they hold. */
async function pathsBelow(folder: string, prefix: string, filter?: (path: string) => boolean): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${prefix}${entry.name}`;
    if (filter && !filter(path)) continue;
    if (!entry.isFile() && !entry.isDirectory() && !entry.isSymbolicLink()) {
      throw new Error(`${path} is no file, folder or symbolic link, and cannot be put into an image`);
    }
    paths.push(path);
    if (entry.isDirectory()) paths.push(...(await pathsBelow(folder, `${path}/`, filter)));
  }
  return paths;
}
