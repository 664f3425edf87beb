import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { StoredPattern } from "../core/scaling/daily-pattern.ts";
import { type Link, openLink } from "../nats/connection.ts";
import type { NatsCredentials } from "../nats/credentials.ts";
import { LateLink } from "../nats/late-link.ts";
import type { Leadership, LoadExchange } from "../scaling/load-exchange.ts";
import type { BucketOptions } from "./buckets.ts";
import { NatsLeadership } from "./nats-leadership.ts";
import { NatsLoadExchange } from "./nats-load-exchange.ts";
import { NatsQuestions } from "./nats-questions.ts";
import { PatternStore } from "./pattern-store.ts";

/** Wait between two tries to read what was learned: its shortest and longest. */
const READ_WAIT_MS = [1_000, 60_000] as const;

export interface PeersOptions {
  /** `nats://host:port` or `tls://host:port`, of one cluster. */
  readonly servers: readonly string[];
  readonly bucket: BucketOptions;
  readonly credentials: NatsCredentials;
  /** Name of this gateway, its own for each start. */
  readonly gateway: string;
  readonly leaseMs: number;
  /** Whether this gateway could act if it led. */
  readonly willing: () => boolean;
  readonly log: Pick<Logger, "debug" | "info" | "warn" | "error">;
}

/** The gateways that share the work with this one. */
export interface Peers {
  readonly exchange: LoadExchange;
  readonly leadership: Leadership;
  /** For what is told of all of them. */
  readonly questions: NatsQuestions;
  readonly patterns: {
    /** @param take gets what was learned before, once it could be read */
    onRead(take: (learned: Record<string, StoredPattern>) => void): void;
    /** Does nothing before it could be read, and on a gateway that does not lead. */
    write(learned: Readonly<Record<string, StoredPattern>>): Promise<void>;
  };
  /** Stops to lead first, so that another one can. */
  close(): Promise<void>;
}

/** Needs no NATS to be there: until it is, this gateway leads nothing and cannot hear the others. */
export function openPeers(options: PeersOptions): Peers {
  const { servers, credentials, bucket, log } = options;
  const link = new LateLink({ open: () => openLink({ servers, log }, credentials, { noEcho: true }), log });
  const exchange = new NatsLoadExchange(link, log);
  const leadership = new NatsLeadership({ ...options, key: "autoscaler", link });
  let store: PatternStore | undefined;
  let read = false;
  const closing = new AbortController();
  return {
    exchange,
    leadership,
    questions: new NatsQuestions(link, options.gateway, log),
    patterns: {
      onRead: (take) =>
        link.onOpen(async (opened) => {
          const found = await readPatterns(opened, bucket, log, closing.signal);
          if (!found) return;
          take(found.learned);
          read = true;
          store = found.store;
        }),
      write: async (learned) => {
        const { connected } = link;
        if (!read || !connected || !leadership.leading) return;
        const bound = store ?? (await PatternStore.open(connected, bucket));
        // After a failure it begins anew: the bucket may be gone, with a server that keeps it in memory.
        store = undefined;
        await bound.write(learned);
        store = bound;
      },
    },
    close: async () => {
      closing.abort();
      await leadership.close();
      await exchange.close();
      await link.close();
    },
  };
}

/** Tries until it succeeds; undefined once `signal` has aborted. A cluster that has just been started is not ready at once. */
async function readPatterns(
  link: Link,
  bucket: BucketOptions,
  log: Pick<Logger, "debug" | "warn">,
  signal: AbortSignal,
): Promise<{ readonly store: PatternStore; readonly learned: Record<string, StoredPattern> } | undefined> {
  const [minWaitMs, maxWaitMs] = READ_WAIT_MS;
  for (let waitMs: number = minWaitMs; !signal.aborted; waitMs = Math.min(waitMs * 2, maxWaitMs)) {
    try {
      const store = await PatternStore.open(link, bucket);
      const learned = await store.read((name, err) =>
        log.warn({ err, function: name }, "could not read a function's daily pattern; starting a new one"),
      );
      return { store, learned };
    } catch (err) {
      const message = "could not read what was learned about calls; trying again";
      if (waitMs === minWaitMs) log.warn({ err }, message);
      else log.debug({ err }, message);
    }
    await sleep(waitMs * (0.5 + Math.random() / 2), signal); // aborted: the loop ends
  }
  return undefined;
}
