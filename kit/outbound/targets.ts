import type { BlockList } from "node:net";
import { isIP, BlockList as Ranges } from "node:net";
import { FaasError } from "../../contract/errors.ts";
import { addRange, inRanges, plainAddress } from "../../http/addresses.ts";
import { isPublicAddress } from "./network-ranges.ts";

/**
 * Where callbacks may go. An entry is an address, a network (`10.0.0.0/8`), a host (`hooks.example.com`), all hosts
 * below one (`*.example.com`) or, in `deny` only, `*`: everything that `allow` does not name.
 */
export interface CallbackTargetRules {
  /** Whether addresses that are not on the public internet may be called. */
  readonly private: boolean;
  /** May be called although `private` or `*` says no. */
  readonly allow: readonly string[];
  /** Must not be called, even if `allow` names it too. */
  readonly deny: readonly string[];
}

/** Callbacks may go anywhere. */
export const ANY_TARGET: CallbackTargetRules = { private: true, allow: [], deny: [] };

/** `unknown`: it depends on the addresses that the name stands for. */
export type HostVerdict = { readonly kind: "allowed" | "unknown" } | { readonly kind: "refused"; readonly why: string };

export type AddressVerdict = Exclude<HostVerdict, { kind: "unknown" }> | { readonly kind: "allowed" };

const HOST = /^(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$/;

const ALLOWED = { kind: "allowed" } as const;

/** Decides about callback targets. Names are judged twice: as written, and by each address that they stand for. */
export class CallbackTargets {
  readonly #private: boolean;
  readonly #allow: TargetList;
  readonly #deny: TargetList;
  readonly #denyOthers: boolean;

  /** @throws {Error} whose message names the entry that is none */
  constructor(rules: CallbackTargetRules) {
    this.#private = rules.private;
    this.#allow = new TargetList(rules.allow);
    this.#denyOthers = rules.deny.includes("*");
    this.#deny = new TargetList(rules.deny.filter((entry) => entry !== "*"));
  }

  /** @param hostname as `URL.hostname` has it: an address, with brackets if it is IPv6, or a name */
  judgeHost(hostname: string): HostVerdict {
    const host = bareHost(hostname);
    if (isIP(host) !== 0) return this.judgeAddress(host, host);
    // No name server is to answer for these (RFC 6761 §6.3), so they can be judged at once.
    if (host === "localhost" || host.endsWith(".localhost")) return this.judgeAddress(host, "127.0.0.1");
    if (this.#deny.hasName(host)) return refused("the host is on the deny list");
    return { kind: "unknown" };
  }

  /**
   * @param hostname that was asked for
   * @param address it stands for
   */
  judgeAddress(hostname: string, address: string): AddressVerdict {
    const host = bareHost(hostname);
    const plain = plainAddress(address);
    if (isIP(plain) === 0) return refused("the host has no address");
    if (this.#deny.hasName(host)) return refused("the host is on the deny list");
    if (this.#deny.hasAddress(plain)) return refused("its address is on the deny list");
    if (this.#allow.hasName(host) || this.#allow.hasAddress(plain)) return ALLOWED;
    if (this.#denyOthers) return refused("it is not on the allow list");
    if (!this.#private && !isPublicAddress(plain)) return refused("its address is not public");
    return ALLOWED;
  }

  /**
   * What can be told when a call is accepted, before any name is looked up.
   * @throws {FaasError} `invalid` naming the header; credentials never appear in the message
   */
  checkUrl(callbackUrl: string): void {
    const verdict = this.judgeHost(new URL(callbackUrl).hostname);
    if (verdict.kind === "refused") {
      throw new FaasError("invalid", `X-Callback-Url: must not lead there: ${verdict.why}`);
    }
  }
}

function refused(why: string): { readonly kind: "refused"; readonly why: string } {
  return { kind: "refused", why };
}

function bareHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}

class TargetList {
  readonly #ranges: BlockList = new Ranges();
  readonly #hosts = new Set<string>();
  /** Each with its leading dot. */
  readonly #suffixes: string[] = [];

  constructor(entries: readonly string[]) {
    for (const written of entries) {
      const entry = written.trim().toLowerCase();
      if (addRange(this.#ranges, plainRange(entry))) continue;
      // A last label of digits makes a name an IPv4 address to some parsers; such an entry is a typing error.
      if (!HOST.test(entry) || /(^|\.)\d+$/.test(entry)) {
        throw new Error(`${written || '""'} is not an address, a network such as 10.0.0.0/8 or a host`);
      }
      if (entry.startsWith("*.")) this.#suffixes.push(entry.slice(1));
      else this.#hosts.add(entry);
    }
  }

  hasName(host: string): boolean {
    return this.#hosts.has(host) || this.#suffixes.some((suffix) => host.endsWith(suffix));
  }

  hasAddress(address: string): boolean {
    return inRanges(this.#ranges, address);
  }
}

/** Addresses are compared as {@link plainAddress} writes them. */
function plainRange(entry: string): string {
  return /[/%]/.test(entry) ? entry : plainAddress(entry);
}
