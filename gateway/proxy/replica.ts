import { Pool } from "undici";
import type { Startup } from "../../contract/endpoints.ts";
import { HttpClient } from "../../http/client/http-client.ts";
import { MAX_FORWARDED_HEAD_BYTES } from "../../http/forwarding.ts";
import type { OtherConnections } from "../../http/other-connections.ts";
import type { Candidate } from "../core/choose-replica.ts";
import { countedConnector } from "./counted-connector.ts";
import { type Occupancies, type Occupancy, OwnOccupancy } from "./occupancy.ts";
import type { ProviderProxy } from "./provider-proxy.ts";
import { Responsiveness } from "./responsiveness.ts";

export interface UpstreamOptions {
  readonly connectTimeoutMs: number;
  /** For functions that are called through the provider; absent where nothing is called. */
  readonly providerProxy?: ProviderProxy;
  /** Counts connections to replicas; nobody does when absent. */
  readonly others?: OtherConnections;
  /** What threads share; absent where there is but one. */
  readonly occupancies?: Occupancies;
}

const MIN_AVOID_MS = 100;
const MAX_AVOID_MS = 5_000;
const TIMER_SLACK_MS = 20;

/** Every watchdog has it; of another server a 404 will do. */
const HEALTH_PATH = "/_/health";
/** One that is well answers at once, if its machine is not too busy. */
const HEALTH_WITHIN_MS = 2_000;

/** The way to a function that is called through the provider. */
export interface WayThroughProvider {
  readonly pool: Pool;
  readonly prefix: string;
}

/** One replica of a function and the connections to it; or the provider, in place of all of them. */
export class ReplicaConnection implements Candidate {
  readonly address: string;
  /** For requests that are there as a whole; absent where they go through the provider. */
  readonly client: HttpClient | undefined;
  readonly #connectTimeoutMs: number;
  readonly #others: OtherConnections | undefined;
  #pool: Pool | undefined;
  /** What comes before the path of each call; empty unless it is the provider. */
  readonly prefix: string;
  /** Whether the provider says that it is ready. */
  announced: boolean;
  /** Calls that it has. */
  readonly occupancy: Occupancy;
  /** Whether it answers. */
  readonly responsiveness = new Responsiveness(() => void this.#probe());
  lagging = false;
  /** Whether its function has ever answered a call. */
  heard = false;
  /** Which of the function's versions it runs; undefined where nobody says. */
  version: string | undefined;
  /** How it came up, if that was a short time ago. */
  startup: Startup | undefined;
  /** Whether the metrics have that. */
  startupCounted = false;
  /** When `announced` became what it is, by `performance.now()`. */
  announcedAt = performance.now();
  #refusals = 0;
  /** By `performance.now()`; 0 unless it has just refused a connection. */
  #avoidUntil = 0;

  /** @param through the connections of all functions, in place of own ones */
  constructor(
    address: string,
    announced: boolean,
    { connectTimeoutMs, others }: Pick<UpstreamOptions, "connectTimeoutMs" | "others">,
    occupancy: Occupancy = new OwnOccupancy(),
    through?: WayThroughProvider,
  ) {
    this.address = address;
    this.announced = announced;
    this.occupancy = occupancy;
    this.prefix = through?.prefix ?? "";
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#others = others;
    this.#pool = through?.pool;
    if (!through) {
      this.client = new HttpClient({ address, connectTimeoutMs, maxHeadBytes: MAX_FORWARDED_HEAD_BYTES, others });
    }
  }

  /** For all other requests. */
  get pool(): Pool {
    this.#pool ??= openPool(this.address, this.#connectTimeoutMs, this.#others);
    return this.#pool;
  }

  /** Whether it is the provider. */
  get isProvider(): boolean {
    return this.prefix !== "";
  }

  get outstanding(): number {
    return this.occupancy.count;
  }

  get ready(): boolean {
    return this.announced && (this.#avoidUntil === 0 || performance.now() >= this.#avoidUntil);
  }

  /**
   * It has refused a connection. The provider may not know, or know better, so it is left out for a moment only.
   * @returns for how long, in milliseconds
   */
  avoid(): number {
    const left = this.#avoidUntil - performance.now();
    if (left > 0) return left; // calls that are refused together say it once
    const avoidMs = Math.min(MIN_AVOID_MS * 2 ** this.#refusals++, MAX_AVOID_MS);
    this.#avoidUntil = performance.now() + avoidMs;
    return avoidMs;
  }

  /**
   * The time that {@link avoid} told is over, by a timer, which may be a hair early by this clock.
   * @returns whether it may be chosen again; it may have refused another connection since
   */
  readmit(): boolean {
    if (this.#avoidUntil - performance.now() > TIMER_SLACK_MS) return false;
    this.#avoidUntil = 0;
    return true;
  }

  /** It has taken a connection, or the provider has news of it. */
  trust(): void {
    this.#refusals = 0;
    this.#avoidUntil = 0;
  }

  /** Whether there is anybody at all is better asked by the gateway than by somebody's call, who would have to wait. */
  async #probe(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(HEALTH_WITHIN_MS);
      const { body } = await this.pool.request({ path: HEALTH_PATH, method: "GET", signal });
      this.responsiveness.alive();
      await body.dump();
    } catch {
      // It is not well, and is asked again.
    }
  }

  /** Lets calls under way finish, then closes the connections. */
  async close(): Promise<void> {
    this.announced = false;
    this.occupancy.close();
    if (!this.isProvider) await Promise.all([this.client?.close(), this.#pool?.close()]);
  }

  /** Cuts whatever is under way. */
  async destroy(): Promise<void> {
    this.announced = false;
    this.occupancy.close();
    if (!this.isProvider) await Promise.all([this.client?.destroy(), this.#pool?.destroy()]);
  }
}

function openPool(address: string, connectTimeoutMs: number, others: OtherConnections | undefined): Pool {
  return new Pool(`http://${address}`, {
    pipelining: 1,
    connect: countedConnector({ timeout: connectTimeoutMs }, others),
    // Shorter than any watchdog's own, so that we never send into a connection the other side is closing.
    keepAliveTimeout: 20_000,
    keepAliveMaxTimeout: 60_000,
    maxHeaderSize: MAX_FORWARDED_HEAD_BYTES,
  });
}
