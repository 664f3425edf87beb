import { z } from "zod";
import { isDigest } from "./image-reference.ts";
import { isIndexType, MEDIA_TYPES } from "./media-types.ts";

const digest = z.string().refine(isDigest, "must be a sha256 digest");
const descriptor = z.looseObject({
  mediaType: z.string(),
  digest,
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
});
/** Names content by its digest. */
export type ContentDescriptor = Readonly<z.output<typeof descriptor>>;

const platform = z.looseObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() });
const index = z.looseObject({
  mediaType: z.string().optional(),
  manifests: z.array(z.looseObject({ ...descriptor.shape, platform: platform.optional() })),
});
const manifest = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor).max(1000),
});
export type ImageManifest = z.output<typeof manifest>;

const config = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  config: z
    .looseObject({ Env: z.array(z.string()).nullish(), Labels: z.record(z.string(), z.string()).nullish() })
    .nullish(),
  rootfs: z.looseObject({ type: z.literal("layers"), diff_ids: z.array(digest) }),
  history: z.array(z.looseObject({ empty_layer: z.boolean().optional() })).nullish(),
});
export type ImageConfig = z.output<typeof config>;

/** What an image runs on, as an index names it. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Parses `linux/arm64/v8`. @throws {Error} naming the rule */
export function parsePlatform(text: string): Platform {
  const [os = "", architecture = "", variant, ...more] = text.split("/");
  const isPart = (part: string) => /^[a-z0-9_]{1,32}$/.test(part);
  if (more.length > 0 || ![os, architecture, variant ?? "x"].every(isPart)) {
    throw new Error(`"${text}" is no platform: it must be such as linux/amd64`);
  }
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** @throws {Error} when the bytes are none */
export function parseManifest(bytes: Uint8Array, what: string): ImageManifest {
  const parsed = parse(manifest, bytes, what, "image manifest");
  const foreign = parsed.layers.find(({ urls }) => urls && urls.length > 0);
  if (foreign) throw new Error(`${what} has a layer that lies outside of its registry, which is not supported`);
  return parsed;
}

/** @throws {Error} when the bytes are none */
export function parseConfig(bytes: Uint8Array, what: string): ImageConfig {
  return parse(config, bytes, what, "image configuration");
}

/**
 * The digest of the image for a platform in an index.
 * @throws {Error} when there is none, naming those that there are
 */
export function choosePlatform(bytes: Uint8Array, wanted: Platform, what: string): string {
  const { manifests } = parse(index, bytes, what, "image index");
  const images = manifests.filter(
    (one) => one.platform && one.platform.os !== "unknown" && !isIndexType(one.mediaType),
  );
  const fitting = images.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const found =
    fitting.find(({ platform }) => platform?.variant === wanted.variant) ?? (wanted.variant ? undefined : fitting[0]);
  if (found) return found.digest;
  const known = images.slice(0, 20).map(({ platform }) => formatPlatform(platform as Platform));
  throw new Error(`${what} has no image for ${formatPlatform(wanted)}, only for ${known.join(", ") || "nothing"}`);
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join("/");
}

/** The media type of layers that go with a manifest of that kind. */
export function layerTypeOf({ config: { mediaType } }: Pick<ImageManifest, "config">): string {
  return mediaType === MEDIA_TYPES.dockerConfig ? MEDIA_TYPES.dockerLayer : MEDIA_TYPES.layer;
}

function parse<S extends z.ZodType>(schema: S, bytes: Uint8Array, what: string, kind: string): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Error(`${what} is no ${kind}: it is not JSON`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${what} is no ${kind}: ${issue?.path.join(".") || "it"}: ${issue?.message}`);
}
