import { join } from "node:path";

/**
 * Where things lie below the registry's folder:
 *
 * - `blobs/sha256/ab/<hex>`: content, of manifests too, under its own digest
 * - `repositories/<name>/_blobs/<hex>`: an empty file, by which the repository has the blob
 * - `repositories/<name>/_manifests/<hex>`: holds the media type
 * - `repositories/<name>/_tags/<tag>`: holds the digest
 * - `uploads/`: what is on its way, and means nothing to the next process
 *
 * Names of repositories have no part that begins with an underscore.
 */
export class RegistryLayout {
  readonly blobs: string;
  readonly repositories: string;
  readonly uploads: string;

  constructor(folder: string) {
    this.blobs = join(folder, "blobs", "sha256");
    this.repositories = join(folder, "repositories");
    this.uploads = join(folder, "uploads");
  }

  blob(digest: string): string {
    const hex = hexOf(digest);
    return join(this.blobs, hex.slice(0, 2), hex);
  }

  link(repository: string, digest: string): string {
    return join(this.repositories, repository, "_blobs", hexOf(digest));
  }

  manifests(repository: string): string {
    return join(this.repositories, repository, "_manifests");
  }

  manifest(repository: string, digest: string): string {
    return join(this.manifests(repository), hexOf(digest));
  }

  tags(repository: string): string {
    return join(this.repositories, repository, "_tags");
  }

  tag(repository: string, tag: string): string {
    return join(this.tags(repository), tag);
  }
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

export function digestOfHex(hex: string): string {
  return `sha256:${hex}`;
}
