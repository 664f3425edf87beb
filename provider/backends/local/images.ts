import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ProviderDatabase } from "./database.ts";

/** A built function: a folder that never changes once it is registered. */
export interface Artefact {
  /** sha256 as 64 hex digits. */
  readonly digest: string;
  readonly path: string;
}

/** What was built on this machine, by the name of its image. */
export interface Images {
  /** Holds one folder per digest; anything else in it is somebody's unfinished work, swept at the next start. */
  readonly artefactsDir: string;
  /** The artefact of `name`, `name:tag` (no tag means `latest`) or `name@sha256:<digest>`, if it is here. */
  resolve(image: string): Artefact | undefined;
  /**
   * Makes `reference` name `digest` from now on, durably. The artefact's folder has to be complete and on disk before.
   * @throws when the digest is malformed or has no folder; {FaasError} `noSpace`
   */
  register(reference: string, digest: string): void;
  /** Where the artefact of `digest` belongs, whether or not it is there. */
  artefactPath(digest: string): string;
  /** Removes unfinished work, and artefacts that neither an image name nor `inUse` needs. For the start only. */
  sweep(inUse: ReadonlySet<string>): Promise<void>;
}

const DIGEST = /^[0-9a-f]{64}$/;

/** An image reference in parts. `tag` is `latest` unless the text names one. */
export interface ImageReference {
  readonly name: string;
  readonly tag: string;
  /** 64 hex digits, when the reference is pinned. */
  readonly digest?: string;
}

/** Splits `registry:5000/name:tag@sha256:<digest>`; a colon before the last slash belongs to a port. */
export function parseImageReference(image: string): ImageReference {
  const [named = "", pinned] = image.split("@sha256:", 2);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? "latest" : named.slice(colon + 1);
  return pinned === undefined ? { name, tag } : { name, tag, digest: pinned };
}

const canonical = ({ name, tag }: ImageReference) => `${name}:${tag}`;

/** Images recorded in the database, with their artefacts below `dataDir`. */
export async function openImages({ sql, add }: ProviderDatabase, dataDir: string): Promise<Images> {
  const artefactsDir = join(dataDir, "artefacts");
  await mkdir(artefactsDir, { recursive: true, mode: 0o700 });
  const find = sql.prepare("SELECT digest FROM images WHERE reference = ?");
  const all = sql.prepare("SELECT digest FROM images");
  const put = sql.prepare(
    "INSERT INTO images (reference, digest) VALUES (?, ?) ON CONFLICT DO UPDATE SET digest = excluded.digest",
  );
  const artefactPath = (digest: string) => {
    if (!DIGEST.test(digest)) throw new Error("an artefact's digest is 64 hex digits");
    return join(artefactsDir, digest);
  };

  return {
    artefactsDir,
    artefactPath,
    resolve(image) {
      const reference = parseImageReference(image);
      const row = reference.digest === undefined ? find.get(canonical(reference)) : undefined;
      const digest = reference.digest ?? (row?.digest as string | undefined);
      if (digest === undefined || !DIGEST.test(digest)) return undefined;
      const path = artefactPath(digest);
      return existsSync(path) ? { digest, path } : undefined;
    },
    register(reference, digest) {
      if (!existsSync(artefactPath(digest))) throw new Error(`artefact ${digest} has no folder`);
      add(() => put.run(canonical(parseImageReference(reference)), digest));
    },
    async sweep(inUse) {
      const named = new Set(all.all().map((row) => row.digest as string));
      const stale = (await readdir(artefactsDir)).filter((entry) => !named.has(entry) && !inUse.has(entry));
      await Promise.all(stale.map((entry) => rm(join(artefactsDir, entry), { recursive: true, force: true })));
    },
  };
}
