import type { Layer } from "./layer.ts";
import { type ContentDescriptor, type ImageConfig, type ImageManifest, layerTypeOf } from "./manifests.ts";
import { MEDIA_TYPES } from "./media-types.ts";
import { digestOf } from "./registry-client.ts";

/** What an image runs, laid over what its base says. */
export interface RunSettings {
  /** Wins over the base's. */
  readonly env: Readonly<Record<string, string>>;
  /** An empty one takes the base's away. */
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly workingDir: string;
  /** Numeric, as Kubernetes can only check numbers against `runAsNonRoot`. */
  readonly user: string;
  readonly exposedPorts: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface ExtendedImage {
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly mediaType: string;
  /** Of the manifest. */
  readonly digest: string;
}

/** When the configuration says that the image was made: always the same, so that the same content is the same image. */
const EPOCH = "1970-01-01T00:00:00Z";

/**
 * The image of a base and further layers. The same input gives the same bytes.
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
export function extendImage(
  base: { readonly manifest: ImageManifest; readonly config: ImageConfig },
  layers: readonly (Layer & { readonly createdBy: string })[],
  run: RunSettings,
): ExtendedImage {
  const { config: given, rootfs, history, ...rest } = base.config;
  const config = bytesOf({
    ...rest,
    created: EPOCH,
    config: { ...given, ...runConfig(run, given ?? {}) },
    rootfs: { ...rootfs, diff_ids: [...rootfs.diff_ids, ...layers.map(({ diffId }) => diffId)] },
    history: [
      ...(history ?? []),
      ...layers.map(({ createdBy }) => ({ created: EPOCH, created_by: createdBy, comment: "faaslane" })),
    ],
  });
  const layerType = layerTypeOf(base.manifest);
  const isDocker = layerType === MEDIA_TYPES.dockerLayer;
  const mediaType = isDocker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.manifest;
  const added = layers.map(({ digest, size }): ContentDescriptor => ({ mediaType: layerType, digest, size }));
  const manifest = bytesOf({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: isDocker ? MEDIA_TYPES.dockerConfig : MEDIA_TYPES.config,
      digest: digestOf(config),
      size: config.length,
    },
    layers: [...base.manifest.layers, ...added],
  });
  return { config, manifest, mediaType, digest: digestOf(manifest) };
}

function runConfig(run: RunSettings, given: NonNullable<ImageConfig["config"]>): Record<string, unknown> {
  return {
    Env: mergeEnv(given.Env ?? [], run.env),
    Entrypoint: run.entrypoint,
    Cmd: run.command,
    WorkingDir: run.workingDir,
    User: run.user,
    ExposedPorts: Object.fromEntries(run.exposedPorts.map((port) => [port, {}])),
    Labels: { ...given.Labels, ...run.labels },
    // It would look for what the base runs.
    Healthcheck: undefined,
  };
}

/** In the base's order, own ones behind. */
function mergeEnv(given: readonly string[], own: Readonly<Record<string, string>>): string[] {
  const names = new Set(Object.keys(own));
  const kept = given.filter((entry) => !names.has(entry.slice(0, Math.max(0, entry.indexOf("=")))));
  return [...kept, ...Object.entries(own).map(([name, value]) => `${name}=${value}`)];
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
