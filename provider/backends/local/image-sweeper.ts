import { FaasError } from "../../../contract/errors.ts";
import type { PruneReport, PruneRequest } from "../../../contract/prune.ts";
import { shortageOf } from "../../../contract/shortages.ts";
import type { Logger } from "../../../kit/log.ts";
import { steadyNow } from "../../../kit/steady-clock.ts";
import { within } from "../../../kit/within.ts";
import { clearTree } from "./clear-tree.ts";
import { syncFolder } from "./files.ts";
import { type ImageUsage, judgeArtefact, namesToRenew, type Verdict } from "./image-rule.ts";
import type { Images } from "./images.ts";
import { Pace } from "./pace.ts";
import { treeSize } from "./tree-size.ts";

export interface ImageSweeperOptions {
  readonly images: Images;
  /** What functions need now. */
  usage(): Omit<ImageUsage, "isHeld">;
  /** How long names are kept that no function uses, in milliseconds. */
  readonly keepMs: number;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Sweeps that are asked for in the meantime are one. */
const GAP_MS = 1_000;
/** For names whose time is over although nothing else happens. */
const EVERY_MS = 3600e3;
/** Longest wait of a request for files to be gone; clients wait for little longer. */
const PRUNE_WAIT_MS = 30_000;

interface Order {
  readonly all: boolean;
  readonly dryRun: boolean;
  /** Whether it was asked for: then also that is tried again which could not be removed before. */
  readonly byHand: boolean;
}

/** Files of an image that is out of use. */
interface Withdrawn {
  readonly path: string;
  readonly bytes: number;
}

/** A report in the making. */
interface Progress {
  readonly removed: PruneReport["removed"];
  readonly problems: string[];
  readonly kept: { images: number; bytes: number };
  pending: number;
  /** Sizes of images that are out of use, and still on the disk. */
  stuckBytes: number;
  /** Whether all that is to go has been named. */
  decided: boolean;
}

const AUTOMATIC: Order = { all: false, dryRun: false, byHand: false };

/**
 * Removes images that nothing needs, one after the other and giving way to everything else. An artefact is taken out of
 * use in the same turn in which it is found to be free, so that a deploy finds it whole or not at all.
 */
export class ImageSweeper {
  readonly #options: ImageSweeperOptions;
  readonly #now: () => number;
  readonly #closing = new AbortController();
  /** Runs from the first sweep on. */
  #timer: NodeJS.Timeout | undefined;
  #requested: NodeJS.Timeout | undefined;
  /** Of all sweeps so far: there is one at a time. */
  #last: Promise<void> = Promise.resolve();
  /** Artefacts that were in use since the last sweep. */
  readonly #released = new Set<string>();
  /** What could not be removed. */
  readonly #stuck = new Set<string>();

  constructor(options: ImageSweeperOptions) {
    this.#options = options;
    this.#now = options.now ?? steadyNow;
  }

  /**
   * Has a sweep made soon.
   * @param released artefacts that a function has used until now
   */
  request(released: readonly string[] = []): void {
    for (const digest of released) this.#released.add(digest);
    if (this.#requested || this.#closing.signal.aborted) return;
    this.#timer ??= setInterval(() => this.request(), EVERY_MS).unref();
    this.#requested = setTimeout(() => {
      this.#requested = undefined;
      void this.#enqueue(AUTOMATIC, newProgress()).catch((err) => {
        if (!this.#closing.signal.aborted) this.#options.log.warn({ err }, "could not look for images to remove");
      });
    }, GAP_MS).unref();
  }

  /**
   * Sweeps now. Waits until files are gone, but not for so long that nobody waits for the answer any more.
   * @throws {FaasError} `unavailable` when it is closed
   */
  async prune({ all = false, dryRun = false }: PruneRequest): Promise<PruneReport> {
    const progress = newProgress();
    const done = this.#enqueue({ all, dryRun, byHand: true }, progress);
    await within(PRUNE_WAIT_MS, done);
    const { removed, pending, kept, problems } = progress;
    const bytes = removed.reduce((sum, image) => sum + image.bytes, 0) - progress.stuckBytes;
    const unfinished = progress.decided ? [] : ["not all images have been looked at yet; it goes on"];
    return { removed: [...removed], bytes, pending, kept: { ...kept }, problems: [...problems, ...unfinished] };
  }

  /** Stops what is under way; the next start goes on with it. May be called twice. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#requested);
    this.#closing.abort(new FaasError("unavailable", "the provider is closing"));
    await this.#last;
  }

  #enqueue(order: Order, progress: Progress): Promise<void> {
    const sweep = this.#last.then(() => this.#sweep(order, progress));
    this.#last = sweep.catch(() => {});
    return sweep;
  }

  async #sweep(order: Order, progress: Progress): Promise<void> {
    const { images } = this.#options;
    this.#closing.signal.throwIfAborted();
    const { digests, withdrawn: left } = await images.list();
    if (!order.dryRun) this.#renew();
    const usage = this.#usage();
    const pace = new Pace(this.#closing.signal);
    const withdrawn: Withdrawn[] = [];
    for (const digest of this.#unused(digests, usage)) {
      await pace.step();
      const found = await this.#settle(digest, usage, order, progress);
      if (!found) continue;
      withdrawn.push(found);
      progress.pending += 1;
    }
    progress.decided = true;
    if (order.dryRun) return;
    // What an earlier sweep has left. Without end it would be tried in vain.
    const orphans = left.filter((path) => order.byHand || !this.#stuck.has(path));
    await this.#remove([...withdrawn, ...orphans.map((path) => ({ path, bytes: 0 }))], progress);
    if (!order.byHand) await this.#countSizes(digests);
  }

  #renew(): void {
    const { images, keepMs } = this.#options;
    const usage = this.#usage();
    const digests = new Set([...usage.digests, ...this.#released]);
    images.renew(namesToRenew(images.tags(), { ...usage, digests }, { keepMs, nowMs: this.#now() }));
    this.#released.clear();
  }

  /** Artefacts that no function runs from, and those that only names are left of. */
  #unused(present: readonly string[], usage: ImageUsage): string[] {
    const known = new Set([...present, ...this.#options.images.tags().map(({ digest }) => digest)]);
    return [...known].filter((digest) => !usage.digests.has(digest) && !usage.isHeld(digest));
  }

  /**
   * Decides about one artefact and acts on it.
   * @param before what was in use when the sweep began
   * @returns what has to be removed of it
   */
  async #settle(
    digest: string,
    before: ImageUsage,
    order: Order,
    { removed, kept, problems }: Progress,
  ): Promise<Withdrawn | undefined> {
    const { images } = this.#options;
    const isKept = !this.#judge(digest, before, order).remove;
    const bytes = isKept && !order.byHand ? 0 : await this.#sizeOf(digest);
    // From here on without a pause: nothing comes to need it between the decision and the deed.
    const { forget, remove } = this.#judge(digest, this.#usage(), order);
    if (!remove) {
      if (!order.dryRun) images.forget(forget);
      kept.images += 1;
      kept.bytes += bytes;
      return undefined;
    }
    const entry = { images: [...forget], digest: `sha256:${digest}`, bytes };
    if (order.dryRun) {
      removed.push(entry);
      return undefined;
    }
    try {
      const path = images.withdraw(digest, forget);
      if (path === undefined) return undefined;
      removed.push(entry);
      return { path, bytes };
    } catch (error) {
      problems.push(`sha256:${digest}: ${reasonOf(error)}`);
      this.#options.log.warn({ digest, err: error }, "could not remove an image");
      return undefined;
    }
  }

  async #remove(withdrawn: readonly Withdrawn[], progress: Progress): Promise<void> {
    const { images, log } = this.#options;
    // Names first: a crash must not bring one back whose files are already going.
    if (withdrawn.length > 0) await syncFolder(images.artefactsDir);
    const { signal } = this.#closing;
    for (const { path, bytes } of withdrawn) {
      try {
        await clearTree(path, signal);
        this.#stuck.delete(path);
      } catch (error) {
        signal.throwIfAborted();
        if (!this.#stuck.has(path)) log.warn({ path, err: error }, "could not remove the files of an image");
        // What has run out for now is no reason not to try again.
        if (!shortageOf(error)) this.#stuck.add(path);
        progress.stuckBytes += bytes;
        progress.problems.push(`files of an image could not be removed: ${reasonOf(error)}`);
      }
      progress.pending = Math.max(0, progress.pending - 1);
    }
    const { removed } = progress;
    const bytes = removed.reduce((sum, image) => sum + image.bytes, 0);
    if (removed.length > 0) log.info({ images: removed.flatMap((image) => image.images), bytes }, "removed images");
  }

  /** For those who want to be told; artefacts of earlier releases have none yet. */
  async #countSizes(digests: readonly string[]): Promise<void> {
    for (const digest of digests) await this.#sizeOf(digest);
  }

  async #sizeOf(digest: string): Promise<number> {
    const { images } = this.#options;
    const known = images.sizeOf(digest);
    if (known !== undefined) return known;
    const path = images.artefactPath(digest);
    const bytes = await treeSize(path, { signal: this.#closing.signal });
    if (images.resolve(`@sha256:${digest}`)) images.setSize(digest, bytes);
    return bytes;
  }

  #judge(digest: string, usage: ImageUsage, { all }: Order): Verdict {
    const { images, keepMs } = this.#options;
    return judgeArtefact(digest, images.tags(digest), usage, { keepMs, nowMs: this.#now(), all });
  }

  #usage(): ImageUsage {
    const { images, usage } = this.#options;
    return { ...usage(), isHeld: images.isHeld };
  }
}

function newProgress(): Progress {
  return { removed: [], problems: [], kept: { images: 0, bytes: 0 }, pending: 0, stuckBytes: 0, decided: false };
}

/** Without paths, which are nobody's concern who asks from afar. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
