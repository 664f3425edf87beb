import { Pool } from "undici";
import { MAX_FORWARDED_HEAD_BYTES } from "../../http/forwarding.ts";
import type { OtherConnections } from "../../http/other-connections.ts";
import { countedConnector } from "./counted-connector.ts";
import { addressOf } from "./provider-address.ts";

export interface ProviderProxyOptions {
  readonly url: URL;
  readonly connectTimeoutMs: number;
  /** Counts them; nobody does when absent. */
  readonly others?: OtherConnections;
}

/** Shorter than any provider's own, so that we never send into a connection that it is closing. */
const KEEP_ALIVE_MS = 4_000;

/**
 * Connections to the provider for calls of functions, all of which share them. Unlike those for its own routes they
 * carry no login of the gateway's: what the caller sends is the function's.
 */
export class ProviderProxy {
  readonly pool: Pool;
  readonly #basePath: string;

  constructor({ url, connectTimeoutMs, others }: ProviderProxyOptions) {
    const { origin, basePath, dial } = addressOf(url);
    this.pool = new Pool(origin, {
      pipelining: 1,
      connect: countedConnector({ timeout: connectTimeoutMs, ...dial }, others),
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_FORWARDED_HEAD_BYTES,
    });
    this.#basePath = basePath;
  }

  /** What comes before the path of a call. @param path as of `ProviderWay` */
  prefixOf(path: string): string {
    return this.#basePath + path;
  }

  /** Cuts whatever is under way. */
  async destroy(): Promise<void> {
    await this.pool.destroy();
  }
}
