import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isAbsent, listNames, remove, removeUnused } from "./files.ts";
import { digestOfHex, type RegistryLayout } from "./layout.ts";
import type { ManifestStore } from "./manifest-store.ts";
import { parseReferences, type References } from "./references.ts";
import { RegistryFailure } from "./registry-failure.ts";
import { listRepositories } from "./repositories.ts";

export interface CollectOptions {
  /** What has been used since is kept: a push may be about to name it. In milliseconds. */
  readonly graceMs: number;
  /** How long a manifest without a tag is kept that nobody pulls, in milliseconds; Infinity for good. */
  readonly keepUntaggedMs: number;
  /** Milliseconds of the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

export interface Collected {
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
}

/** Looks at files that requests wait for. */
const IN_ONE_GO = 100;

/**
 * Removes what no manifest needs any more. Marks first, repository by repository, then sweeps content that none of them has.
 * Pushes may go on meanwhile: whatever they have sent, mounted or asked for counts as used, and is kept for `graceMs`.
 * @throws whatever keeps it from reading a manifest, before anything is removed that this one may need
 */
export async function collectGarbage(
  layout: RegistryLayout,
  manifests: ManifestStore,
  { graceMs, keepUntaggedMs, now, signal }: CollectOptions,
): Promise<Collected> {
  const used = new Set<string>();
  const counts = { manifests: 0, blobs: 0, bytes: 0 };
  for await (const repository of listRepositories(layout)) {
    signal.throwIfAborted();
    const all = await referencesOf(layout, manifests, repository);
    const tagged = new Set((await manifests.tagged(repository)).values());
    const kept = keepUntaggedMs === Number.POSITIVE_INFINITY ? new Set(all.keys()) : withChildren(tagged, all);
    for (const digest of all.keys()) {
      if (kept.has(digest)) continue;
      const before = now - Math.max(graceMs, keepUntaggedMs);
      if (removeUnused(layout.manifest(repository, digest), before) === undefined) kept.add(digest);
      else counts.manifests += 1;
    }
    // One that is kept because of its age keeps what an index of it names, too.
    const needed = withChildren(kept, all);
    const blobs = new Set([...needed].flatMap((digest) => all.get(digest)?.blobs ?? []));
    for (const digest of needed) used.add(digest);
    for (const [i, hex] of (await listNames(join(layout.repositories, repository, "_blobs"))).entries()) {
      if (i % IN_ONE_GO === 0) await setImmediate();
      const digest = digestOfHex(hex);
      const isNeeded = blobs.has(digest);
      if (isNeeded || removeUnused(layout.link(repository, digest), now - graceMs) === undefined) used.add(digest);
    }
  }
  for (const prefix of await listNames(layout.blobs)) {
    signal.throwIfAborted();
    for (const hex of await listNames(join(layout.blobs, prefix))) {
      const digest = digestOfHex(hex);
      if (used.has(digest)) continue;
      const bytes = removeUnused(layout.blob(digest), now - graceMs);
      if (bytes === undefined) continue;
      counts.blobs += 1;
      counts.bytes += bytes;
    }
  }
  return counts;
}

/** What each manifest of a repository needs. Those whose content is gone are forgotten. */
async function referencesOf(
  layout: RegistryLayout,
  manifests: ManifestStore,
  repository: string,
): Promise<Map<string, References>> {
  const found = new Map<string, References>();
  for (const digest of await manifests.list(repository)) {
    const path = layout.manifest(repository, digest);
    try {
      const [mediaType, bytes] = await Promise.all([readFile(path, "utf8"), readFile(layout.blob(digest))]);
      found.set(digest, parseReferences(bytes, mediaType));
    } catch (error) {
      if (!isAbsent(error) && !(error instanceof RegistryFailure)) throw error;
      remove(path); // its content is gone or damaged, and cannot be pulled
    }
  }
  return found;
}

function withChildren(roots: ReadonlySet<string>, all: ReadonlyMap<string, References>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...roots];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(all.get(next)?.manifests ?? []));
  }
  return reached;
}
