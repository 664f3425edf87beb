import { readFile } from "node:fs/promises";
import { isDigest } from "../oci/image-reference.ts";
import type { BlobStore } from "./blob-store.ts";
import { isAbsent, listNames, place, remove, renew, syncNames, writeDraft } from "./files.ts";
import { digestOfHex, type RegistryLayout } from "./layout.ts";
import type { References } from "./references.ts";
import { RegistryFailure } from "./registry-failure.ts";

export interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

export interface ManifestWrite {
  readonly repository: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly tag: string | undefined;
  readonly references: References;
}

/** Manifests and tags of all repositories. */
export class ManifestStore {
  readonly #layout: RegistryLayout;
  readonly #blobs: BlobStore;

  constructor(layout: RegistryLayout, blobs: BlobStore) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /**
   * @param reference a tag or a digest
   * @throws {RegistryFailure} `MANIFEST_UNKNOWN`
   */
  async read(repository: string, reference: string): Promise<StoredManifest> {
    try {
      const digest = await this.#digestOf(repository, reference);
      const path = this.#layout.manifest(repository, digest);
      const [mediaType, bytes] = await Promise.all([readFile(path, "utf8"), readFile(this.#layout.blob(digest))]);
      renew(path); // so that what is pulled stays, where what nobody wants goes
      return { bytes, mediaType, digest };
    } catch (error) {
      throw isAbsent(error) ? unknownManifest(repository, reference) : error;
    }
  }

  /**
   * Stores a manifest of which all is there that it needs, and then names it: a tag never points at half an image.
   * @throws {RegistryFailure} `MANIFEST_BLOB_UNKNOWN` naming what is missing
   */
  async write({ repository, bytes, digest, tag, references }: ManifestWrite): Promise<void> {
    for (const blob of references.blobs) if (!this.#blobs.hold(repository, blob)) throw missing(repository, blob);
    for (const other of references.manifests) {
      if (!renew(this.#layout.manifest(repository, other))) throw missing(repository, other);
    }
    const { uploads } = this.#layout;
    await this.#blobs.adoptContent(await writeDraft(uploads, bytes), digest);
    await this.#name(this.#layout.manifest(repository, digest), references.mediaType);
    if (tag !== undefined) await this.#name(this.#layout.tag(repository, tag), digest);
  }

  async #name(path: string, content: string): Promise<void> {
    const draft = await writeDraft(this.#layout.uploads, content);
    place(draft, path);
    await syncNames(path);
  }

  /**
   * Takes a tag away, or a manifest with all tags that point at it.
   * @throws {RegistryFailure} `MANIFEST_UNKNOWN`
   */
  async remove(repository: string, reference: string): Promise<void> {
    if (!isDigest(reference)) {
      if (!remove(this.#layout.tag(repository, reference))) throw unknownManifest(repository, reference);
      return;
    }
    const tags = await this.tagged(repository);
    for (const [tag, digest] of tags) if (digest === reference) remove(this.#layout.tag(repository, tag));
    if (!remove(this.#layout.manifest(repository, reference))) throw unknownManifest(repository, reference);
  }

  /** In order. @throws {RegistryFailure} `NAME_UNKNOWN` */
  async tags(repository: string): Promise<string[]> {
    const [tags, manifests] = await Promise.all([
      listNames(this.#layout.tags(repository)),
      listNames(this.#layout.manifests(repository)),
    ]);
    if (tags.length + manifests.length === 0) {
      throw new RegistryFailure("NAME_UNKNOWN", `there is no repository ${repository}`);
    }
    return tags.sort();
  }

  /** Each tag with its digest. */
  async tagged(repository: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const tag of await listNames(this.#layout.tags(repository))) {
      try {
        found.set(tag, await this.#digestOf(repository, tag));
      } catch (error) {
        if (!isAbsent(error)) throw error; // else it has been removed meanwhile
      }
    }
    return found;
  }

  /** Digests of a repository's manifests. */
  async list(repository: string): Promise<string[]> {
    return (await listNames(this.#layout.manifests(repository))).map(digestOfHex);
  }

  async #digestOf(repository: string, reference: string): Promise<string> {
    if (isDigest(reference)) return reference;
    return await readFile(this.#layout.tag(repository, reference), "utf8");
  }
}

function missing(repository: string, digest: string): RegistryFailure {
  return new RegistryFailure("MANIFEST_BLOB_UNKNOWN", `${repository} lacks ${digest}, which the manifest names`);
}

function unknownManifest(repository: string, reference: string): RegistryFailure {
  return new RegistryFailure("MANIFEST_UNKNOWN", `${repository} has no manifest ${reference}`);
}
