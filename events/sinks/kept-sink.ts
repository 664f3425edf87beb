import { isDeepStrictEqual } from "node:util";
import { FaasError } from "../../contract/errors.ts";
import { decodeSinkSpec } from "../../contract/events/sink-spec.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import { within } from "../../kit/within.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryAttempt } from "../delivery/next-attempt.ts";
import { explainFailure } from "../links/explain.ts";
import type { EventResource } from "../store/resource-store.ts";
import { unlessAborted } from "./abortable.ts";
import type { OpenSink } from "./sink.ts";
import { type SinkStatus, UNUSED } from "./sink-status.ts";
import { checkSinkSettings, type SinkTypes } from "./sink-types.ts";

/** What the sinks of a process work with. */
export interface KeptSinkDeps {
  readonly types: SinkTypes;
  /** Text of a secret of a namespace. @throws {FaasError} `notFound` */
  readonly readSecret: (namespace: string, name: string, key?: string) => Promise<string>;
  /** Where requests to URLs may go. */
  readonly targets: CallbackTargets;
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** What is under way has this long when the sink is changed. */
const END_MS = 30_000;
/** Between two tries to open one: the shortest and the longest wait. */
const WAIT_MS = [200, 30_000] as const;

/** One declared sink: opened when it is first used, kept open between events, and opened again after it has failed. */
export class KeptSink {
  readonly #document: EventResource;
  readonly #deps: KeptSinkDeps;
  #opening: Promise<OpenSink> | undefined;
  #underWay = 0;
  #onQuiet: (() => void) | undefined;
  #closed = false;
  #waitMs: number = WAIT_MS[0];
  /** Not opened before then. */
  #closedUntil = 0;
  #usedAt: number;
  #status: SinkStatus = UNUSED;

  constructor(document: EventResource, deps: KeptSinkDeps) {
    this.#document = document;
    this.#deps = deps;
    this.#usedAt = deps.now();
  }

  /** Whether it was made of such a document: one of the same name may have been there before, and be gone. */
  isOf({ version, spec }: EventResource): boolean {
    return version === this.#document.version && isDeepStrictEqual(spec, this.#document.spec);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get status(): SinkStatus {
    return this.#status;
  }

  /** Milliseconds since it was last used; 0 while it is. */
  idleMs(): number {
    return this.#underWay > 0 ? 0 : Math.max(0, this.#deps.now() - this.#usedAt);
  }

  /** @throws the reason of `signal` when that aborts */
  async send(event: CloudEvent, signal: AbortSignal): Promise<DeliveryAttempt> {
    const now = this.#deps.now();
    const waitMs = this.#closedUntil - now;
    // Somebody has just tried: the server, and the many events that wait, are spared one try each. A clock may have been set back.
    if (!this.#opening && waitMs > 0 && waitMs <= WAIT_MS[1]) {
      return { error: this.#status.problem ?? "the sink cannot be opened", retryAfterMs: Math.ceil(waitMs) };
    }
    this.#underWay++;
    const opening = this.#open();
    try {
      const open = await unlessAborted(opening, signal);
      const attempt = await open.send(event, signal);
      this.#tell(attempt);
      if (attempt.status === undefined) this.#giveUp(opening);
      return attempt;
    } catch (error) {
      signal.throwIfAborted();
      return this.#failed(opening, error);
    } finally {
      if (--this.#underWay === 0) this.#onQuiet?.();
      this.#usedAt = this.#deps.now();
    }
  }

  /** Nothing is sent any more; what is under way has some time to end. */
  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    if (this.#underWay > 0) {
      await within(
        END_MS,
        new Promise<void>((resolve) => {
          this.#onQuiet = resolve;
        }),
      );
    }
    const open = await opening?.catch(() => undefined); // it has been told
    await open?.close().catch(() => {}); // nobody is left who could do something about it
  }

  /** Closes its connection, as it is not used for now. */
  rest(): void {
    const opening = this.#opening;
    if (!opening || this.#underWay > 0) return;
    this.#opening = undefined;
    opening.then((open) => open.close()).catch(() => {}); // nobody waits for it
    if (this.#status.state === "open") this.#status = { ...this.#status, state: "idle" };
  }

  #open(): Promise<OpenSink> {
    if (this.#closed) return Promise.reject(new FaasError("unavailable", "the sink has been changed"));
    if (!this.#opening) {
      const opening = this.#openNow();
      this.#opening = opening;
      opening.then(
        () => {
          this.#waitMs = WAIT_MS[0];
        },
        () => this.#wait(opening),
      );
    }
    return this.#opening;
  }

  async #openNow(): Promise<OpenSink> {
    const { namespace, name, spec } = this.#document;
    const { types, readSecret, targets, now } = this.#deps;
    const { type, settings } = await checkSinkSettings(types, decodeSinkSpec(spec));
    return await type.open(settings, {
      namespace,
      name,
      secret: (secretName, key) => readSecret(namespace, secretName, key),
      targets,
      now,
    });
  }

  #failed(opening: Promise<OpenSink>, error: unknown): DeliveryAttempt {
    const problem = explainFailure(error);
    const { now } = this.#deps;
    this.#status = { ...this.#status, state: "failing", problem, errors: this.#status.errors + 1, lastErrorAt: now() };
    // An event that makes no name: the sink is sound.
    if (error instanceof FaasError && error.kind === "invalid" && this.#opening === opening) {
      return { status: 400, error: problem };
    }
    this.#giveUp(opening);
    return { error: problem };
  }

  #tell({ status, error }: DeliveryAttempt): void {
    const now = this.#deps.now();
    if (status !== undefined && status >= 200 && status < 300) {
      const { errors, lastErrorAt, sent } = this.#status;
      this.#status = {
        state: "open",
        sent: sent + 1,
        errors,
        lastSentAt: now,
        ...(lastErrorAt !== undefined && { lastErrorAt }),
      };
      return;
    }
    this.#status = {
      ...this.#status,
      state: "failing",
      problem: error ?? `answered ${status}`,
      errors: this.#status.errors + 1,
      lastErrorAt: now,
    };
  }

  /** The connection is not used any more; the next event opens another one. */
  #giveUp(opening: Promise<OpenSink>): void {
    if (this.#opening !== opening) return;
    this.#wait(opening);
    opening.then((open) => open.close()).catch(() => {}); // it is broken
  }

  #wait(opening: Promise<OpenSink>): void {
    if (this.#opening !== opening) return;
    this.#opening = undefined;
    const { now, random } = this.#deps;
    this.#closedUntil = now() + this.#waitMs * (0.5 + random() / 2);
    this.#waitMs = Math.min(this.#waitMs * 2, WAIT_MS[1]);
  }
}
