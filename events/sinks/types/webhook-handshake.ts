import { type Dispatcher, request } from "undici";
import { FaasError } from "../../../contract/errors.ts";

const TIMEOUT_MS = 10_000;
const MINUTE_MS = 60_000;

/** What is asked for. */
export interface HandshakeRequest {
  readonly origin: string;
  /** Requests a minute. */
  readonly rate: number | undefined;
}

/**
 * Asks a receiver whether it wants events.
 * @returns the requests a minute that it allows; undefined for any number
 * @throws {FaasError} `forbidden` when it does not say yes
 * @see the abuse protection of the web hooks of CloudEvents
 */
export async function shakeHands(
  url: string,
  { origin, rate }: HandshakeRequest,
  headers: Readonly<Record<string, string>>,
  dispatcher: Dispatcher,
): Promise<number | undefined> {
  const answer = await request(url, {
    method: "OPTIONS",
    headers: {
      ...headers,
      "webhook-request-origin": origin,
      ...(rate !== undefined && { "webhook-request-rate": String(rate) }),
    },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    dispatcher,
  });
  await answer.body.dump({ limit: 16 * 1024 });
  const allowed = answer.headers["webhook-allowed-origin"];
  const names = typeof allowed === "string" ? allowed.split(",").map((name) => name.trim().toLowerCase()) : [];
  if (!names.includes("*") && !names.includes(origin.toLowerCase())) {
    throw new FaasError("forbidden", `the receiver does not allow webhooks from ${origin}`);
  }
  const limit = answer.headers["webhook-allowed-rate"];
  return typeof limit === "string" && /^\d{1,9}$/.test(limit) && Number(limit) > 0 ? Number(limit) : undefined;
}

/** Requests a minute, each minute anew. */
export class Rate {
  readonly #most: number;
  #minute = 0;
  #taken = 0;

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  /** @returns milliseconds until one may be made; 0 when it may be made now, and is counted */
  take(nowMs: number): number {
    const minute = Math.floor(nowMs / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#taken = 0;
    }
    if (this.#taken >= this.#most) return (minute + 1) * MINUTE_MS - nowMs;
    this.#taken++;
    return 0;
  }
}
