import type { Link } from "../../../nats/connection.ts";
import { ensureStream } from "../../../nats/ensure-stream.ts";
import { readPages } from "../../../nats/pages.ts";
import { Publisher } from "../../../nats/publisher.ts";
import { DEFAULT_QUEUE, type PendingCallback } from "../../queue.ts";
import { BODY_PREFIX, queueOfStream, queueStream, RESULT_PREFIX, STREAMS } from "../client/names.ts";
import { buildQueueStream, buildStreams, removeEmptyStream } from "../client/streams.ts";
import type { JetStreamSettings } from "../options.ts";
import { Activity } from "./activity.ts";
import { Bodies } from "./bodies.ts";
import { encodeCall, type StoredCall } from "./call-codec.ts";
import { MaskedCallIds } from "./call-id.ts";
import { CallRoom } from "./call-room.ts";
import { answerRef, inlineAnswer, type StoredCallback, withAnswer } from "./callback-codec.ts";
import { ensureIdKey } from "./id-key.ts";
import { Records } from "./records.ts";

const NAMES_AGE_MS = 1000;
/** Between tries to make a stream that is missing. */
const MEND_MS = 1000;

/** What all parts of the queue work with. */
export class Context {
  readonly link: Link;
  readonly settings: JetStreamSettings;
  readonly publisher: Publisher;
  readonly records: Records;
  readonly bodies: Bodies;
  readonly activity = new Activity();
  readonly room: CallRoom;
  /** Whether it has been said that there are calls of a later release. */
  toldOfNewer = false;
  #idKey = "";
  #ids = new MaskedCallIds("");
  readonly #ready = new Map<string, Promise<void>>();
  #names: { readonly at: number; readonly queues: Promise<string[]> } | undefined;
  #mendedAt = Number.NEGATIVE_INFINITY;
  /** Made by this process while it starts; undefined from then on. */
  #newStreams: string[] | undefined = [];

  constructor(link: Link, settings: JetStreamSettings) {
    this.link = link;
    this.settings = settings;
    this.publisher = new Publisher(link, {
      timeoutMs: settings.publishTimeoutMs,
      maxUnstored: settings.limits.maxUnstored,
      maxUnstoredBytes: settings.limits.maxUnstoredBytes,
      missing: (subject) => this.#mend(subject),
    });
    this.bodies = new Bodies(link, this.publisher, STREAMS.bodies, BODY_PREFIX);
    const results = new Bodies(link, this.publisher, STREAMS.finished, RESULT_PREFIX);
    this.records = new Records(link, this.publisher, results);
    this.room = new CallRoom({
      link,
      limits: settings.callLimits,
      maxMembers: settings.limits.maxMembers,
      queues: () => this.queues(),
      failed: (err) => settings.log.debug({ err }, "calls could not be counted"),
    });
  }

  /** To be waited for before anything else. @throws {Error} when the server cannot have the streams */
  async open(): Promise<void> {
    await this.ensureStreams();
    await this.#readIdKey();
    await this.ensureQueue(DEFAULT_QUEUE);
    await this.room.count();
    this.#newStreams = undefined;
  }

  get ids(): MaskedCallIds {
    return this.#ids;
  }

  /** The server is another one, or has been started anew: it may have lost what it had. */
  serverChanged(): void {
    this.#readIdKey().catch((err: unknown) => this.settings.log.warn({ err }, "the key of ids cannot be read"));
  }

  async #readIdKey(): Promise<void> {
    this.#idKey = await ensureIdKey(this, this.#idKey === "" ? undefined : this.#idKey);
    this.#ids = new MaskedCallIds(this.#idKey);
  }

  /** @throws {Error} when the server cannot have the streams */
  async ensureStreams(): Promise<void> {
    const streams = buildStreams(this.settings);
    const sizeOf = ({ max_bytes }: (typeof streams)[number]) => max_bytes ?? 0;
    await Promise.all(streams.filter((config) => sizeOf(config) === 0).map((config) => this.#ensure(config)));
    // The largest first: then there is seldom anything to give back when there is not enough for all.
    for (const config of streams.filter(sizeOf).toSorted((a, b) => sizeOf(b) - sizeOf(a))) await this.#ensure(config);
  }

  /** Gives back what streams reserve that are new. What is set aside is not to be missing when it is tried with less. */
  async removeNewStreams(): Promise<void> {
    await Promise.allSettled((this.#newStreams ?? []).map((stream) => removeEmptyStream(this.link, stream)));
  }

  /** Looks at the server only once for each queue, unless `again`. */
  ensureQueue(queue: string, again = false): Promise<void> | undefined {
    const known = this.#ready.get(queue);
    if (known && !again) return known === READY ? undefined : known;
    const ensuring = this.#ensure(buildQueueStream(queue, this.settings));
    this.#ready.set(queue, ensuring);
    ensuring.then(
      () => {
        this.#ready.set(queue, READY);
        this.#names = undefined;
      },
      () => this.#ready.delete(queue),
    );
    return ensuring;
  }

  /** Queues that have a stream. */
  queues(): Promise<string[]> {
    const now = performance.now();
    if (!this.#names || now - this.#names.at > NAMES_AGE_MS) {
      const queues = this.#listQueues();
      this.#names = { at: now, queues };
      queues.catch(() => {
        this.#names = undefined;
      });
    }
    return this.#names.queues;
  }

  /** As a message; a body that does not fit in is stored apart. @param moreBytes of headers */
  async encodeFitting(stored: StoredCall, moreBytes = 0): Promise<Buffer> {
    const { body, nonce, callback } = stored;
    const inline = body instanceof Uint8Array && body.byteLength > 0;
    const answer = inlineAnswer(callback);
    const bytes = (inline ? body.byteLength : 0) + (answer?.byteLength ?? 0);
    if (bytes === 0 || !this.bodies.isLarge(bytes)) {
      const payload = encodeCall(stored);
      if (bytes === 0 || !this.bodies.isLarge(payload.byteLength + moreBytes)) return payload;
    }
    if (callback && answer) {
      const apart = withAnswer(callback, await this.bodies.store(`${nonce}-answer`, answer));
      return await this.encodeFitting({ ...stored, callback: apart }, moreBytes);
    }
    return encodeCall(inline ? { ...stored, body: await this.bodies.store(nonce, body) } : stored);
  }

  /** Removes what lies apart of a call that has ended. @param dead its body is its dead letter's */
  async removeBodies({ body, callback }: Pick<StoredCall, "body" | "callback">, dead = false): Promise<void> {
    const answer = answerRef(callback);
    if (answer) await this.bodies.remove(answer);
    if (!dead && !(body instanceof Uint8Array)) await this.bodies.remove(body);
  }

  /** @throws {BodyLostError} */
  async pendingOf(stored: StoredCallback): Promise<PendingCallback> {
    const { result } = stored.outcome;
    const body = result?.body ?? NOTHING;
    return withAnswer(stored, body instanceof Uint8Array ? body : await this.bodies.load(body));
  }

  /** @throws {BodyLostError} */
  async bodyOf({ body }: StoredCall): Promise<Uint8Array> {
    return body instanceof Uint8Array ? body : await this.bodies.load(body);
  }

  async #listQueues(): Promise<string[]> {
    const names = await readPages(this.link, "STREAM.NAMES", {}, (page: { streams: string[] | null }) => page.streams);
    return names.flatMap((name) => queueOfStream(name) ?? []);
  }

  async #ensure(config: Parameters<typeof ensureStream>[1]): Promise<void> {
    const { isNew, fixed } = await ensureStream(this.link, config);
    if (isNew) this.#newStreams?.push(config.name);
    if (fixed.length > 0) {
      this.settings.log.warn({ stream: config.name, fields: fixed }, "a stream has other settings than it should");
    }
  }

  /** Somebody has removed a stream, or its leader is being chosen. */
  #mend(subject: string): void {
    const now = performance.now();
    if (now - this.#mendedAt < MEND_MS) return;
    this.#mendedAt = now;
    const queue = subject.split(".", 1)[0] as string;
    const mending = queue === "FAASLANE" ? this.ensureStreams() : this.ensureQueue(queue, true);
    mending?.then(
      () => this.settings.log.info({ stream: queueStream(queue) }, "streams are there"),
      (err: unknown) => this.settings.log.warn({ err }, "a stream is missing and cannot be made"),
    );
  }
}

const READY = Promise.resolve();
const NOTHING = new Uint8Array();
