import { openPeers, type Peers, type PeersOptions } from "../../../gateway/cluster/open-peers.ts";
import type { LoadReport } from "../../../gateway/core/scaling/load-book.ts";

/** Collects what is told. */
export class Told {
  readonly lines: string[] = [];
  readonly log: PeersOptions["log"] = {
    debug: () => {},
    info: (facts: unknown, message?: string) => this.#add(facts, message),
    warn: (facts: unknown, message?: string) => this.#add(facts, message),
    error: (facts: unknown, message?: string) => this.#add(facts, message),
  };

  #add(facts: unknown, message?: string): void {
    this.lines.push(message ?? String(facts));
  }
}

export interface TestGateway extends Peers {
  readonly name: string;
  readonly heard: LoadReport[];
  readonly told: Told;
}

/** Opens what a gateway shares with others, at `address` (`host:port`). */
export function openGatewayAt(address: string, name: string, options: Partial<PeersOptions> = {}): TestGateway {
  const told = new Told();
  const peers = openPeers({
    servers: [address],
    bucket: { replicas: 1, storage: "file" },
    credentials: {},
    gateway: name,
    leaseMs: 1500,
    willing: () => true,
    log: told.log,
    ...options,
  });
  const heard: LoadReport[] = [];
  peers.exchange.onReport((report) => heard.push(report));
  return { ...peers, name, heard, told };
}
