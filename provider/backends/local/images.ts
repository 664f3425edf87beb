import { randomBytes } from "node:crypto";
import { existsSync, renameSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isOutOfSpace } from "../../../contract/shortages.ts";
import { steadyNow } from "../../../kit/steady-clock.ts";
import type { ProviderDatabase } from "./database.ts";
import type { ImageTag } from "./image-rule.ts";

/** A built function: a folder that never changes once it is registered. */
export interface Artefact {
  /** sha256 as 64 hex digits. */
  readonly digest: string;
  readonly path: string;
}

/** What is in the folder of the artefacts. */
export interface ArtefactFolder {
  /** Digests of artefacts. */
  readonly digests: readonly string[];
  /** Paths of what has been withdrawn, and is still to be removed. */
  readonly withdrawn: readonly string[];
}

/** What was built on this machine, by the name of its image. */
export interface Images {
  /** Holds one folder per digest, and what of others is still to be removed. */
  readonly artefactsDir: string;
  /** The artefact of `name`, `name:tag` (no tag means `latest`) or `name@sha256:<digest>`, if it is here. */
  resolve(image: string): Artefact | undefined;
  /**
   * Makes `reference` name `digest` from now on, durably. The artefact's folder has to be complete and on disk before.
   * @param bytes size of its files, if that has been counted
   * @throws when the digest is malformed or has no folder; {FaasError} `noSpace`
   */
  register(reference: string, digest: string, bytes?: number): void;
  /** Where the artefact of `digest` belongs, whether or not it is there. */
  artefactPath(digest: string): string;
  /** Keeps the artefact of `digest`, there or not yet, until what is returned has been called. */
  hold(digest: string): () => void;
  isHeld(digest: string): boolean;

  list(): Promise<ArtefactFolder>;
  /** All names, or those of one artefact. */
  tags(digest?: string): ImageTag[];
  /** Names whose time begins anew. */
  renew(references: readonly string[]): void;
  forget(references: readonly string[]): void;
  /**
   * Takes the artefact out of use at once and as a whole: what remains to be removed has another name.
   * @param references all names that it has
   * @returns its path, undefined when there is no such artefact
   */
  withdraw(digest: string, references: readonly string[]): string | undefined;
  /** Size of the artefact's files in bytes, once that has been counted. */
  sizeOf(digest: string): number | undefined;
  setSize(digest: string, bytes: number): void;
}

const WITHDRAWN = ".withdrawn-";
const DIGEST = /^[0-9a-f]{64}$/;
/** Rows that are written in one transaction: the database has room for so many, also on a full disk. */
const ROWS_AT_A_TIME = 200;

/** An image reference in parts. `tag` is `latest` unless the text names one. */
export interface ArtefactReference {
  readonly name: string;
  readonly tag: string;
  /** 64 hex digits, when the reference is pinned. */
  readonly digest?: string;
}

/** Splits `registry:5000/name:tag@sha256:<digest>`; a colon before the last slash belongs to a port. */
export function parseArtefactReference(image: string): ArtefactReference {
  const [named = "", pinned] = image.split("@sha256:", 2);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? "latest" : named.slice(colon + 1);
  return pinned === undefined ? { name, tag } : { name, tag, digest: pinned };
}

/** `name:tag`, under which an image is kept. */
export const canonicalReference = ({ name, tag }: ArtefactReference) => `${name}:${tag}`;

/** Images recorded in the database, with their artefacts below `dataDir`. */
export async function openImages(
  { sql, add, change }: ProviderDatabase,
  dataDir: string,
  now: () => number = steadyNow,
): Promise<Images> {
  const artefactsDir = join(dataDir, "artefacts");
  await mkdir(artefactsDir, { recursive: true, mode: 0o700 });
  const find = sql.prepare("SELECT digest FROM images WHERE reference = ?");
  const all = sql.prepare("SELECT reference, digest, kept_since AS keptSince FROM images");
  const ofDigest = sql.prepare("SELECT reference, digest, kept_since AS keptSince FROM images WHERE digest = ?");
  const put = sql.prepare(
    `INSERT INTO images (reference, digest, kept_since) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET digest = excluded.digest, kept_since = excluded.kept_since`,
  );
  const renew = sql.prepare("UPDATE images SET kept_since = ? WHERE reference = ?");
  const forget = sql.prepare("DELETE FROM images WHERE reference = ?");
  const putSize = sql.prepare("INSERT INTO artefacts (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING");
  const dropSize = sql.prepare("DELETE FROM artefacts WHERE digest = ?");
  const sizes = new Map(
    sql
      .prepare("SELECT digest, bytes FROM artefacts")
      .all()
      .map(({ digest, bytes }) => [digest as string, bytes as number]),
  );
  const holders = new Map<string, number>();
  const artefactPath = (digest: string) => {
    if (!DIGEST.test(digest)) throw new Error("an artefact's digest is 64 hex digits");
    return join(artefactsDir, digest);
  };
  const inBatches = (references: readonly string[], write: (reference: string) => void) => {
    for (let from = 0; from < references.length; from += ROWS_AT_A_TIME) {
      change(() => references.slice(from, from + ROWS_AT_A_TIME).forEach(write));
    }
  };

  return {
    artefactsDir,
    artefactPath,
    resolve(image) {
      const reference = parseArtefactReference(image);
      const row = reference.digest === undefined ? find.get(canonicalReference(reference)) : undefined;
      const digest = reference.digest ?? (row?.digest as string | undefined);
      if (digest === undefined || !DIGEST.test(digest)) return undefined;
      const path = artefactPath(digest);
      return existsSync(path) ? { digest, path } : undefined;
    },
    register(reference, digest, bytes) {
      if (!existsSync(artefactPath(digest))) throw new Error(`artefact ${digest} has no folder`);
      add(() => {
        put.run(canonicalReference(parseArtefactReference(reference)), digest, now());
        if (bytes !== undefined) putSize.run(digest, bytes);
      });
      if (bytes !== undefined) sizes.set(digest, bytes);
    },
    hold(digest) {
      holders.set(digest, (holders.get(digest) ?? 0) + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (holders.get(digest) ?? 1) - 1;
        if (left > 0) holders.set(digest, left);
        else holders.delete(digest);
      };
    },
    isHeld: (digest) => holders.has(digest),
    async list() {
      const names = await readdir(artefactsDir);
      return {
        digests: names.filter((name) => DIGEST.test(name)),
        withdrawn: names.filter((name) => name.startsWith(WITHDRAWN)).map((name) => join(artefactsDir, name)),
      };
    },
    tags: (digest) => (digest === undefined ? all.all() : ofDigest.all(digest)) as unknown as ImageTag[],
    renew: (references) => inBatches(references, (reference) => renew.run(now(), reference)),
    forget: (references) => inBatches(references, (reference) => forget.run(reference)),
    withdraw(digest, references) {
      const path = artefactPath(digest);
      inBatches(references.slice(ROWS_AT_A_TIME), (reference) => forget.run(reference));
      if (references.length > 0 || sizes.has(digest)) {
        change(() => {
          for (const reference of references.slice(0, ROWS_AT_A_TIME)) forget.run(reference);
          dropSize.run(digest);
        });
        sizes.delete(digest);
      }
      // In the same folder, and no longer than it was: a name that needs no room.
      const withdrawn = join(artefactsDir, WITHDRAWN + randomBytes(16).toString("hex"));
      try {
        renameSync(path, withdrawn);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        return undefined;
      }
      return withdrawn;
    },
    sizeOf: (digest) => sizes.get(digest),
    setSize(digest, bytes) {
      sizes.set(digest, bytes);
      try {
        add(() => putSize.run(digest, bytes));
      } catch (error) {
        // It is counted again after the next start.
        if (!isOutOfSpace(error)) throw error;
      }
    },
  };
}
