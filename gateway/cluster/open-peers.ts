import type { Logger } from "../../provider/kit/log.ts";
import type { StoredPattern } from "../core/scaling/daily-pattern.ts";
import { openLink } from "../queue/jetstream/connection.ts";
import type { NatsCredentials } from "../queue/jetstream/options.ts";
import type { Leadership, LoadExchange } from "../scaling/load-exchange.ts";
import type { BucketOptions } from "./buckets.ts";
import { LateLink } from "./late-link.ts";
import { NatsLeadership } from "./nats-leadership.ts";
import { NatsLoadExchange } from "./nats-load-exchange.ts";
import { PatternStore } from "./pattern-store.ts";

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
  const leadership = new NatsLeadership({ ...options, link });
  let store: PatternStore | undefined;
  let read = false;
  return {
    exchange,
    leadership,
    patterns: {
      onRead: (take) =>
        link.onOpen((opened) => {
          const reading = PatternStore.open(opened, bucket).then(async (bound) => {
            take(await bound.read());
            read = true;
            store = bound;
          });
          reading.catch((err: unknown) => log.warn({ err }, "could not read what was learned about calls"));
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
      await leadership.close();
      await exchange.close();
      await link.close();
    },
  };
}
