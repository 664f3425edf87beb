import type { IncomingMessage, ServerResponse } from "node:http";
import { FaasError, toFaasError, withCode } from "../../contract/errors.ts";
import { SINK } from "../../contract/events/sink-binding.ts";
import { isDnsLabel } from "../../contract/names.ts";
import { answerError } from "../../kit/answer-error.ts";
import type { Logger } from "../../kit/log.ts";
import type { Broker, KnownBrokers } from "../brokers/known-brokers.ts";
import { decodeHttp, httpMode } from "../codec/http.ts";
import type { BrokerRef, EventStore, NewEvent } from "../store/event-store.ts";
import type { BoundSinks } from "../triggers/bound-sinks.ts";
import { type SinkName, sinkBroker, towardsSink } from "../triggers/sink-triggers.ts";
import { forwardedHeaders } from "./forwarded-headers.ts";
import { takeHops } from "./hops.ts";
import { storeInTime } from "./store-in-time.ts";

export const BROKER_PREFIX = "/broker/";

/** The store's name of the event that was taken. */
const REF_HEADER = "x-event-ref";
/** Its key was known: the answer is the one of the first time. */
const REPLAYED_HEADER = "idempotency-replayed";

/** What base64 and the attributes add to an event that is written as JSON. */
const STRUCTURED_FACTOR = 4 / 3;
const STRUCTURED_EXTRA_BYTES = 64 * 1024;
/** Of all events of a batch, where one may not be larger. */
const MIN_BATCH_BYTES = 4 * 1024 ** 2;
const MAX_KEY_CHARS = 256;

/** How many events were asked to be taken, and what came of it. */
export type CountIngress = (broker: BrokerRef, outcome: "accepted" | "duplicate" | "refused", events: number) => void;

/** Reads a request's body, of which there may only be so much at a time. */
export interface EventBodies {
  /** @throws {FaasError} `tooLarge`, `overloaded`, and `invalid` when it breaks off */
  with<T>(req: IncomingMessage, use: (body: Buffer) => Promise<T>, tap: undefined, mostBytes: number): Promise<T>;
}

export interface BrokerIngressOptions {
  readonly events: Pick<EventStore, "append" | "maxEventBytes">;
  readonly brokers: Pick<KnownBrokers, "find" | "ofPlatform">;
  readonly sinks: Pick<BoundSinks, "take">;
  readonly bodies: EventBodies;
  /** Whether those who send events have to log in, also where the broker does not say so. */
  readonly auth: boolean;
  /** Whether a request carries the credentials of the platform. */
  readonly isAuthorized: (req: IncomingMessage) => boolean;
  readonly defaultNamespace: string;
  readonly count?: CountIngress | undefined;
  /** Longest wait for the store. Default 15 s. */
  readonly storeTimeoutMs?: number;
  readonly now?: () => number;
  readonly log: Pick<Logger, "error">;
}

/** Who events are sent to: a broker, or a sink, whose events one broker keeps. */
interface Target {
  readonly broker: BrokerRef;
  readonly sink?: SinkName;
}

/** `POST /broker/[NAMESPACE/]NAME` and `/broker/NAMESPACE/sink/NAME` → 202 once the events are stored. */
export class BrokerIngress {
  readonly #options: BrokerIngressOptions;
  readonly #now: () => number;

  constructor(options: BrokerIngressOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Answers a request whose URL starts with {@link BROKER_PREFIX}.
   * @param told names and values of headers that subscribers may get, in turns
   * @returns the code of its refusal
   */
  async handle(
    req: IncomingMessage,
    res: ServerResponse,
    told: readonly string[] = req.rawHeaders,
  ): Promise<string | undefined> {
    try {
      const target = readTarget(req.url as string, this.#options.defaultNamespace);
      if (req.method === "OPTIONS") consent(res);
      else if (req.method === "POST") await this.#take(req, res, target, told);
      else throw new FaasError("notAllowed", "events are sent by POST");
      return undefined;
    } catch (thrown) {
      if (req.destroyed && !req.complete) return undefined; // the sender left; nothing was accepted
      const error = withCode(toFaasError(thrown), "events_unavailable", "unavailable");
      if (error.kind === "internal") this.#options.log.error({ err: error.cause ?? error }, "taking an event failed");
      answerError(res, error, headersOf(error));
      return error.code;
    }
  }

  async #take(req: IncomingMessage, res: ServerResponse, target: Target, told: readonly string[]): Promise<void> {
    const { bodies, events: store, count } = this.#options;
    const { broker: ref } = target;
    this.#checkLogin(req, await this.#inTime(this.#find(target)));
    // What has no events is refused before it is read.
    if (httpMode(req.headers) === undefined) decodeHttp(req.headers, Buffer.alloc(0));
    let events = 1;
    try {
      const appended = await bodies.with(
        req,
        async (body) => {
          const taken = this.#read(req, target, told, body);
          events = taken.length;
          return taken.length === 0 ? [] : await this.#inTime(store.append(taken));
        },
        undefined,
        mostBytes(req, store.maxEventBytes),
      );
      const duplicates = appended.filter(({ duplicate }) => duplicate).length;
      if (duplicates > 0) count?.(ref, "duplicate", duplicates);
      if (duplicates < events) count?.(ref, "accepted", events - duplicates);
      const [first] = appended;
      res
        .writeHead(202, {
          "content-length": "0",
          ...(appended.length === 1 && first && { [REF_HEADER]: first.ref }),
          ...(duplicates > 0 && duplicates === events && { [REPLAYED_HEADER]: "true" }),
        })
        .end();
    } catch (error) {
      count?.(ref, "refused", events);
      throw error;
    }
  }

  /** @throws {FaasError} `notFound` */
  async #find({ broker: ref, sink }: Target): Promise<Broker> {
    const { brokers, sinks } = this.#options;
    if (sink) {
      if (await sinks.take(sink)) return await brokers.ofPlatform(ref);
      throw new FaasError("notFound", `no function's events go to a sink ${sink.namespace}/${sink.name}`, {
        code: "unknown_sink",
      });
    }
    const broker = await brokers.find(ref);
    if (!broker) throw unknown(`there is no broker ${ref.namespace}/${ref.name}`);
    return broker;
  }

  #checkLogin(req: IncomingMessage, { spec }: Broker): void {
    const wanted = this.#options.auth || spec.auth === "basic";
    if (wanted && !this.#options.isAuthorized(req)) throw new FaasError("unauthorized", "invalid credentials");
  }

  #read(req: IncomingMessage, { broker, sink }: Target, told: readonly string[], body: Buffer): NewEvent[] {
    const key = readKey(req);
    const where = sink ? towardsSink(sink) : { broker };
    // Sinks have one broker, and each its own keys.
    const scope = sink ? `sink/${sink.name}/` : "";
    const headers = forwardedHeaders(told);
    const arrivedAt = this.#now();
    return decodeHttp(req.headers, body).map((given, place) => {
      const { event, hops } = takeHops(given);
      const once = key === undefined ? {} : { once: `${scope}key/${place}/${key}` };
      return { ...where, event, headers, hops, arrivedAt, via: "http", ...once };
    });
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    return await storeInTime(work, this.#options.storeTimeoutMs);
  }
}

/** @throws {FaasError} `notFound` for what names nothing, `invalid` for more names than there can be */
function readTarget(url: string, defaultNamespace: string): Target {
  const queryAt = url.indexOf("?");
  const path = url.slice(BROKER_PREFIX.length, queryAt < 0 ? undefined : queryAt);
  if (path === "")
    throw new FaasError("notFound", "the path names no broker: it is /broker/NAME or /broker/NAMESPACE/NAME");
  const names = path.split("/", 4);
  if (names.length === 3 && names[1] === SINK) {
    const [namespace = "", , name = ""] = names;
    if (isDnsLabel(namespace) && isDnsLabel(name)) return { broker: sinkBroker(namespace), sink: { namespace, name } };
    throw new FaasError("notFound", "there is no sink of such a name", { code: "unknown_sink" });
  }
  if (names.length > 2) {
    throw new FaasError(
      "invalid",
      "the path must be /broker/NAME, /broker/NAMESPACE/NAME or /broker/NAMESPACE/sink/NAME",
    );
  }
  const [namespace = "", name = ""] = names.length === 1 ? [defaultNamespace, ...names] : names;
  if (!isDnsLabel(namespace) || !isDnsLabel(name)) throw unknown("there is no broker of such a name");
  return { broker: { namespace, name } };
}

function unknown(message: string): FaasError {
  return new FaasError("notFound", message, { code: "unknown_broker" });
}

/** Lets anybody send, as the specification of web hooks has it. Nothing for web pages: those of others may not send events. */
function consent(res: ServerResponse): void {
  res
    .writeHead(200, {
      allow: "POST, OPTIONS",
      "webhook-allowed-origin": "*",
      "webhook-allowed-rate": "*",
      "content-length": "0",
    })
    .end();
}

function headersOf({ kind }: FaasError): Record<string, string> {
  if (kind === "notAllowed") return { allow: "POST, OPTIONS" };
  return kind === "unauthorized" ? { "www-authenticate": 'Basic realm="Restricted"' } : {};
}

function mostBytes({ headers }: IncomingMessage, maxEventBytes: number): number {
  const mode = httpMode(headers);
  if (mode === "binary") return maxEventBytes;
  const structured = Math.ceil(maxEventBytes * STRUCTURED_FACTOR) + STRUCTURED_EXTRA_BYTES;
  if (mode === "structured") return structured;
  return Math.max(structured, MIN_BATCH_BYTES);
}

/** @see draft-ietf-httpapi-idempotency-key-header */
function readKey({ headers }: IncomingMessage): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key === "" || key.length > MAX_KEY_CHARS) {
    throw new FaasError("invalid", `Idempotency-Key: must have 1 to ${MAX_KEY_CHARS} characters`);
  }
  return key;
}
