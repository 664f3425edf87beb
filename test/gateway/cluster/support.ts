import { openPeers, type Peers, type PeersOptions } from "../../../gateway/cluster/open-peers.ts";
import type { LoadReport } from "../../../gateway/core/scaling/load-book.ts";
import { eventually } from "../../support/eventually.ts";

export const TEST_LEASE_MS = 1500;

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
    leaseMs: TEST_LEASE_MS,
    willing: () => true,
    log: told.log,
    ...options,
  });
  const heard: LoadReport[] = [];
  peers.exchange.onReport((report) => heard.push(report));
  return { ...peers, name, heard, told };
}

/** Gateways on one NATS. */
export class TestGateways {
  readonly all: TestGateway[] = [];
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
  }

  open(name: string, options: Partial<PeersOptions> = {}): TestGateway {
    const gateway = openGatewayAt(this.#address, name, options);
    this.all.push(gateway);
    return gateway;
  }

  get leading(): TestGateway[] {
    return this.all.filter(({ leadership }) => leadership.leading);
  }

  /** Waits for a leader. @throws when there are ever two */
  async oneLeads(what: string, deadlineMs = 20_000): Promise<TestGateway> {
    return await eventually(
      what,
      () => {
        const now = this.leading;
        if (now.length > 1) throw new Error("two lead");
        return now[0];
      },
      deadlineMs,
    );
  }

  async near(...some: TestGateway[]): Promise<void> {
    await eventually("all are connected", () => some.every(({ exchange }) => exchange.away === undefined), 20_000);
  }

  async close(): Promise<void> {
    for (const gateway of this.all.splice(0)) await gateway.close();
  }
}
