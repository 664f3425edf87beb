/**
 * Media types of images, of OCI and of Docker.
 * @see https://github.com/opencontainers/image-spec/blob/main/media-types.md
 */
export const MEDIA_TYPES = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

/** What is asked for when an image is looked up. */
export const MANIFEST_TYPES = [
  MEDIA_TYPES.index,
  MEDIA_TYPES.manifest,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.dockerManifest,
] as const;

export function isIndexType(type: string): boolean {
  return type === MEDIA_TYPES.index || type === MEDIA_TYPES.dockerIndex;
}
