import { Agent, request } from "undici";
import { guardedConnector, type Lookup, TargetRefused } from "../../kit/outbound/connector.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import type { HeaderList } from "../store/event-store.ts";
import type { DeliveryMessage } from "./outgoing.ts";
import type { EventAnswer } from "./ports.ts";

export interface UriCallerOptions {
  readonly targets: CallbackTargets;
  /** Default: the system's. */
  readonly lookup?: Lookup | undefined;
  readonly userAgent: string;
  readonly maxAnswerBytes: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Kept of an answer that says that something went wrong. */
const MAX_ERROR_BYTES = 64 * 1024;
const NO_BODY = Buffer.alloc(0);

/** Posts events to URLs outside. Redirects are answers like others: who allows a target has not allowed where it points. */
export class UriCaller {
  readonly #options: UriCallerOptions;
  readonly #agent: Agent;

  constructor(options: UriCallerOptions) {
    this.#options = options;
    // The deadline of the try is the only one.
    this.#agent = new Agent({
      connect: guardedConnector(options.targets, CONNECT_TIMEOUT_MS, options.lookup),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** @throws the reason of `signal` when that aborts */
  async call(uri: string, message: DeliveryMessage, signal: AbortSignal): Promise<EventAnswer> {
    signal.throwIfAborted();
    try {
      const answer = await request(uri, {
        method: "POST",
        headers: rawHeaders(message.headers, this.#options.userAgent),
        body: message.body,
        signal,
        dispatcher: this.#agent,
      });
      const { statusCode: status, headers } = answer;
      const whole = await readBody(answer.body, status === 200 ? this.#options.maxAnswerBytes : MAX_ERROR_BYTES);
      if (status !== 200 || !whole.cut) return { status, headers, body: whole.bytes };
      return { status, headers, body: NO_BODY, error: `is larger than ${this.#options.maxAnswerBytes} bytes` };
    } catch (error) {
      signal.throwIfAborted();
      return failed(error);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function failed(error: unknown): EventAnswer {
  const answer = { headers: {}, body: NO_BODY };
  if (error instanceof TargetRefused) {
    return { ...answer, error: `its target is refused: ${error.message}`, final: true };
  }
  const { code, message } = error as NodeJS.ErrnoException;
  return { ...answer, error: code ?? message, final: code === "UND_ERR_INVALID_ARG" };
}

function rawHeaders(headers: HeaderList, userAgent: string): string[] {
  return [...headers.flat(), "User-Agent", userAgent];
}

interface ReadBody {
  readonly bytes: Buffer;
  /** There was more. */
  readonly cut: boolean;
}

/** Leaving the loop closes the connection: nobody wants the rest. */
async function readBody(body: AsyncIterable<unknown>, maxBytes: number): Promise<ReadBody> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += (piece as Buffer).length;
    if (bytes > maxBytes) return { bytes: Buffer.concat(pieces), cut: true };
    pieces.push(piece as Buffer);
  }
  return { bytes: Buffer.concat(pieces, bytes), cut: false };
}
