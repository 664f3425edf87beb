import { Readable } from "node:stream";
import { extendImage, type RunSettings } from "./extend-image.ts";
import type { ImageReference } from "./image-reference.ts";
import type { Layer } from "./layer.ts";
import {
  choosePlatform,
  type ImageConfig,
  type ImageManifest,
  type Platform,
  parseConfig,
  parseManifest,
} from "./manifests.ts";
import { isIndexType, MEDIA_TYPES } from "./media-types.ts";
import { type BlobSource, digestOf, MAX_MANIFEST_BYTES, type RegistryClient } from "./registry-client.ts";

/** An image that others are built on. */
export interface BaseImage {
  readonly reference: ImageReference;
  /** Of the manifest for its platform. */
  readonly digest: string;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/** Blobs that are sent at a time. */
const PARALLEL = 4;
/** Each blob is tried so often: connections break, and sessions of uploads with them. */
const TRIES = 3;

/**
 * Looks up an image and what it is made of.
 * @throws {Error} when there is no such image, or none for the platform
 */
export async function resolveBase(
  client: RegistryClient,
  reference: ImageReference,
  platform: Platform,
  signal: AbortSignal,
): Promise<BaseImage> {
  const { repository } = reference;
  const what = `${reference.registry}/${repository}`;
  let found = await client.fetchManifest(repository, reference.digest ?? reference.tag ?? "latest", signal);
  if (isIndexType(found.mediaType)) {
    found = await client.fetchManifest(repository, choosePlatform(found.bytes, platform, what), signal);
  }
  const manifest = parseManifest(found.bytes, what);
  const bytes = await client.fetchBlob(repository, manifest.config.digest, MAX_MANIFEST_BYTES, signal);
  const config = parseConfig(bytes, what);
  if (config.os !== platform.os || config.architecture !== platform.architecture) {
    throw new Error(`${what} is for ${config.os}/${config.architecture}, not ${platform.os}/${platform.architecture}`);
  }
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new Error(
      `${what} is broken: its configuration names ${config.rootfs.diff_ids.length} layers, its manifest ${manifest.layers.length}`,
    );
  }
  return { reference, digest: found.digest, manifest, config };
}

export interface ImagePush {
  readonly base: BaseImage;
  readonly baseClient: RegistryClient;
  readonly layers: readonly (Layer & { readonly createdBy: string })[];
  readonly run: RunSettings;
  readonly target: ImageReference;
  readonly client: RegistryClient;
  readonly signal: AbortSignal;
  /** Called with each blob that has been sent. */
  readonly sent?: (blob: { readonly digest: string; readonly size: number }) => void;
}

/** What names a manifest in an index. */
export interface PushedImage {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

/**
 * Pushes the image of a base and further layers. Blobs of the base are taken over within the registry where it can do that.
 * The manifest comes last, so that the image is whole or not there.
 */
export async function pushImage(push: ImagePush): Promise<PushedImage> {
  const { base, baseClient, layers, client, target, signal } = push;
  const image = extendImage(base, layers, push.run);
  const sameRegistry = base.reference.registry === target.registry;
  const from = sameRegistry && base.reference.repository !== target.repository ? base.reference.repository : undefined;
  const ofBase = base.manifest.layers.map(({ digest, size }) => ({
    blob: { digest, size, open: () => baseClient.openBlob(base.reference.repository, digest, signal) },
    from,
  }));
  const config = {
    digest: digestOf(image.config),
    size: image.config.length,
    open: () => Readable.from([image.config]),
  };
  const own = [...layers, config].map((blob) => ({ blob, from: undefined }));
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const waiting = [...ofBase, ...own];
  const pushNext = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const wasSent = await pushBlob(client, target.repository, next.blob, stop, next.from);
      if (wasSent) push.sent?.(next.blob);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, pushNext));
  } catch (error) {
    failed.abort(error); // the others send for nothing
    throw error;
  }
  const manifest = { bytes: image.manifest, mediaType: image.mediaType };
  await client.pushManifest(target.repository, target.tag ?? image.digest, manifest, signal);
  return { digest: image.digest, size: image.manifest.length, mediaType: image.mediaType };
}

async function pushBlob(
  client: RegistryClient,
  repository: string,
  blob: BlobSource,
  signal: AbortSignal,
  from: string | undefined,
): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      return await client.pushBlob(repository, blob, signal, from);
    } catch (error) {
      const { status } = error as { status?: unknown };
      const isFinal = typeof status === "number" && status < 500 && status !== 416 && status !== 404;
      if (tries === TRIES || isFinal || signal.aborted) throw error;
    }
  }
}

/** The index of the images for several platforms. */
export function buildIndex(images: readonly (PushedImage & { readonly platform: Platform })[]): {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
} {
  const isDocker = images.every(({ mediaType }) => mediaType === MEDIA_TYPES.dockerManifest);
  const mediaType = isDocker ? MEDIA_TYPES.dockerIndex : MEDIA_TYPES.index;
  const manifests = images.map(({ mediaType: type, digest, size, platform }) => ({
    mediaType: type,
    digest,
    size,
    platform,
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  return { bytes, mediaType, digest: digestOf(bytes) };
}
