import { join } from "node:path";
import { Readable } from "node:stream";
import type { ImageReference } from "./image-reference.ts";
import { writeLayer } from "./layer.ts";
import type { Platform } from "./manifests.ts";
import { MEDIA_TYPES } from "./media-types.ts";
import { digestOf, type RegistryClient } from "./registry-client.ts";

export interface PushedFiles {
  readonly folder: string;
  /** Where the image has them: an absolute path. */
  readonly at: string;
  readonly platform: Platform;
  readonly target: Pick<ImageReference, "repository">;
  readonly client: RegistryClient;
  /** Folder of a temporary file. */
  readonly tmp: string;
}

/**
 * Pushes an image that is nothing but the files of a folder, without a tag.
 * @returns its digest
 */
export async function pushFiles(files: PushedFiles, signal: AbortSignal): Promise<string> {
  const { folder, at, platform, target, client, tmp } = files;
  const layer = await writeLayer({ folder, at }, join(tmp, "files.tar.gz"), signal);
  const { os, architecture } = platform;
  const config = Buffer.from(
    JSON.stringify({ os, architecture, config: {}, rootfs: { type: "layers", diff_ids: [layer.diffId] } }),
  );
  const described = { digest: digestOf(config), size: config.length };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, ...described },
      layers: [{ mediaType: MEDIA_TYPES.layer, digest: layer.digest, size: layer.size }],
    }),
  );
  await client.pushBlob(target.repository, layer, signal);
  await client.pushBlob(target.repository, { ...described, open: () => Readable.from([config]) }, signal);
  const digest = digestOf(manifest);
  const pushed = { bytes: manifest, mediaType: MEDIA_TYPES.manifest };
  await client.pushManifest(target.repository, digest, pushed, signal);
  return digest;
}
