import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { buildConnector } from "undici";
import type { CallbackTargets } from "./targets.ts";

/** A connection was not made because its target is not allowed. */
export class TargetRefused extends Error {
  override readonly name = "TargetRefused";
}

/** What a server has to have signed, and who we are to it. */
export interface TlsOptions {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
}

/** All addresses of a host, as `node:dns` looks them up. */
export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Connects to allowed targets only. The addresses that are judged are those that are connected to, so a name cannot
 * stand for one address while it is checked and for another when it is called.
 */
export function guardedConnector(
  targets: CallbackTargets,
  timeoutMs: number,
  lookup: Lookup = systemLookup,
  tls: TlsOptions = {},
): buildConnector.connector {
  const connect = buildConnector({
    ...tls,
    timeout: timeoutMs,
    allowH2: false,
    lookup: guardedLookup(targets, lookup),
  });
  return (options, callback) => {
    const verdict = targets.judgeHost(options.hostname);
    // Addresses are not looked up, so this is the only look at them.
    if (verdict.kind === "refused") queueMicrotask(() => callback(new TargetRefused(verdict.why), null));
    else connect(options, callback);
  };
}

function guardedLookup(targets: CallbackTargets, lookup: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) {
        callback(error, "", 0);
        return;
      }
      const judged = addresses.map((found) => ({ found, verdict: targets.judgeAddress(hostname, found.address) }));
      const allowed = judged.filter(({ verdict }) => verdict.kind === "allowed").map(({ found }) => found);
      const [first] = allowed;
      if (!first) {
        const verdict = judged[0]?.verdict;
        callback(new TargetRefused(verdict?.kind === "refused" ? verdict.why : "the host has no address"), "", 0);
      } else if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}
