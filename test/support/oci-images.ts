import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type LayerContent, writeLayer } from "../../oci/layer.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { digestOf, type RegistryClient } from "../../oci/registry-client.ts";

export const HERE = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };

export interface BaseContent {
  readonly layers: readonly LayerContent[];
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly docker?: boolean;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Puts an image together by hand and pushes it, for others to be built on. @returns its digest */
export async function pushBase(
  client: RegistryClient,
  repository: string,
  tag: string,
  { layers, env = [], labels, docker = false, platform = HERE }: BaseContent,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "faaslane-base-"));
  const { signal } = new AbortController();
  try {
    const written = await Promise.all(layers.map((content, i) => writeLayer(content, join(folder, `${i}`), signal)));
    for (const layer of written) await client.pushBlob(repository, layer, signal);
    const config = Buffer.from(
      JSON.stringify({
        ...platform,
        config: { Env: env, Cmd: ["sh"], ...(labels && { Labels: labels }) },
        rootfs: { type: "layers", diff_ids: written.map(({ diffId }) => diffId) },
        history: written.map(() => ({ created_by: "a base" })),
      }),
    );
    await client.pushBlob(repository, blobOf(config), signal);
    const mediaType = docker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.manifest;
    const manifest = {
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: docker ? MEDIA_TYPES.dockerConfig : MEDIA_TYPES.config,
        digest: digestOf(config),
        size: config.length,
      },
      layers: written.map(({ digest, size }) => ({
        mediaType: docker ? MEDIA_TYPES.dockerLayer : MEDIA_TYPES.layer,
        digest,
        size,
      })),
    };
    const bytes = Buffer.from(JSON.stringify(manifest));
    await client.pushManifest(repository, tag, { bytes, mediaType }, signal);
    return digestOf(bytes);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function blobOf(bytes: Buffer) {
  return { digest: digestOf(bytes), size: bytes.length, open: () => Readable.from([bytes]) };
}
