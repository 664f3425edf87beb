import { rm } from "node:fs/promises";
import { ensurePrivateFolder } from "../kit/private-folder.ts";
import { BlobStore } from "./blob-store.ts";
import { type Collected, type CollectOptions, collectGarbage } from "./collect-garbage.ts";
import { listNames } from "./files.ts";
import { RegistryLayout } from "./layout.ts";
import { ManifestStore } from "./manifest-store.ts";
import { listRepositories } from "./repositories.ts";
import { type UploadLimits, Uploads } from "./uploads.ts";

/** Everything that a registry keeps, below one folder that no other process uses. */
export interface RegistryStore {
  readonly blobs: BlobStore;
  readonly manifests: ManifestStore;
  readonly uploads: Uploads;
  /** Those that have an image, in order. */
  repositories(): Promise<string[]>;
  collect(options: CollectOptions): Promise<Collected>;
  close(): Promise<void>;
}

/** @throws the error of the system when the folder cannot be used */
export async function openRegistryStore(folder: string, limits: UploadLimits): Promise<RegistryStore> {
  const layout = new RegistryLayout(folder);
  // Clients of an earlier process begin anew.
  await rm(layout.uploads, { recursive: true, force: true });
  for (const path of [folder, layout.blobs, layout.repositories, layout.uploads]) ensurePrivateFolder(path);
  const blobs = new BlobStore(layout);
  const manifests = new ManifestStore(layout, blobs);
  const uploads = new Uploads(layout, blobs, limits);
  return {
    blobs,
    manifests,
    uploads,
    async repositories() {
      const found: string[] = [];
      for await (const name of listRepositories(layout)) {
        if ((await listNames(layout.manifests(name))).length > 0) found.push(name);
      }
      return found.sort();
    },
    collect: (options) => collectGarbage(layout, manifests, options),
    close: () => uploads.close(),
  };
}
