import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { Link } from "../nats/connection.ts";
import type { LateLink } from "../nats/late-link.ts";
import type { Leadership } from "../scaling/load-exchange.ts";
import type { BucketOptions } from "./buckets.ts";
import { LeadershipLease } from "./lease.ts";
import { type LeaseKey, LeaseStore } from "./lease-store.ts";

export interface NatsLeadershipOptions {
  readonly link: LateLink;
  readonly bucket: BucketOptions;
  /** What is led. */
  readonly key: LeaseKey;
  /** Name of this process, its own for each start. */
  readonly gateway: string;
  readonly leaseMs: number;
  /** Whether it could act if it led; otherwise it leaves that to others. */
  readonly willing: () => boolean;
  readonly log: Pick<Logger, "debug" | "warn">;
}

/** Looks at the lease so often in its time, and waits no longer for an answer than two of them. */
const LOOKS = 12;

const clock = () => performance.now();

/** Leads by a lease in NATS's key-value store. */
export class NatsLeadership implements Leadership {
  readonly #options: NatsLeadershipOptions;
  readonly #lease: LeadershipLease;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #store: LeaseStore | undefined;
  #warned = false;
  #closed = false;

  constructor(options: NatsLeadershipOptions) {
    this.#options = options;
    this.#lease = new LeadershipLease(options);
    // Its server may have come back without what was written last.
    options.link.onOpen((link) => link.onReconnect(() => this.#lease.doubt()));
    this.#running = this.#run();
  }

  get leading(): boolean {
    return !this.#closed && this.#lease.leading(clock());
  }

  get leader(): string | undefined {
    return this.#lease.leader(clock());
  }

  /** Resigns leadership at once, so that another gateway can take over. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    await this.#running;
    await this.#giveBack();
  }

  async #run(): Promise<void> {
    const { leaseMs, link } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let waitMs = leaseMs / LOOKS;
      // What is sent without a connection arrives whenever there is one again, which helps nobody.
      if (link.connected) {
        try {
          waitMs = Math.min(waitMs, await this.#step(link.connected));
          this.#warned = false;
        } catch (err) {
          // The bucket may be gone, with a server that keeps it in memory.
          this.#store = undefined;
          this.#tell(err);
        }
      }
      await sleep(waitMs, signal); // aborted: the loop ends
    }
  }

  /** @returns how long there is nothing to do */
  async #step(link: Link): Promise<number> {
    const { leaseMs, bucket, key, willing } = this.#options;
    this.#store ??= await LeaseStore.open(link, (2 * leaseMs) / LOOKS, bucket, key);
    const wants = willing();
    if (!wants) await this.#giveBack();
    const now = clock();
    const step = this.#lease.next(now);
    if (step.kind === "wait") return step.untilMs - now;
    if (step.kind === "write" && wants) {
      const revision = await this.#store.write(step.revision, step.claim);
      if (revision === undefined) this.#lease.refused();
      else this.#lease.stored(step.claim.write, revision);
      return 0;
    }
    this.#lease.looked(await this.#store.look(), clock());
    return step.kind === "write" ? leaseMs / LOOKS : 0;
  }

  async #giveBack(): Promise<void> {
    const revision = this.#lease.release();
    if (revision === undefined) return;
    try {
      if (this.#options.link.connected) await this.#store?.remove(revision);
    } catch (err) {
      this.#options.log.debug({ err }, "could not release the lease; it expires by itself");
    }
  }

  #tell(err: unknown): void {
    const { log } = this.#options;
    if (this.#warned) log.debug({ err }, "could not read or renew the lease");
    else log.warn({ err }, "could not read or renew the lease; will retry");
    this.#warned = true;
  }
}
