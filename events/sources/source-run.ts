import { FaasError } from "../../contract/errors.ts";
import type { Logger } from "../../kit/log.ts";
import type { CallbackTargets } from "../../kit/outbound/targets.ts";
import { sleep } from "../../kit/sleep.ts";
import type { BrokerRef, EventRecord, EventStore } from "../store/event-store.ts";
import type { DeclaredSource } from "./declared-source.ts";
import { emitEvents } from "./emit-events.ts";
import type { AnswerRequest, SourceContext } from "./source.ts";
import { type CursorResources, openCursor } from "./source-cursor.ts";
import type { SourceReport } from "./source-report.ts";
import { checkSettings } from "./source-settings.ts";
import type { SourceTypes } from "./source-types.ts";

/** What the sources of a process work with. */
export interface SourceRunDeps {
  readonly types: SourceTypes;
  readonly store: Pick<EventStore, "append" | "find">;
  readonly resources: CursorResources;
  /** Text of a secret of a namespace. @throws {FaasError} `notFound` */
  readonly readSecret: (namespace: string, name: string, key?: string) => Promise<string>;
  /** Whether a broker is there to take events; all are when absent. */
  readonly hasBroker?: (broker: BrokerRef) => Promise<boolean>;
  /** Where requests over HTTP may go. */
  readonly targets: CallbackTargets;
  /** A source that is still not connected after it says so. Default 20 s. */
  readonly slowMs?: number;
  readonly now: () => number;
  readonly log: Pick<Logger, "info" | "warn" | "debug">;
}

/** Servers that take connections and say nothing look like slow ones. */
const SLOW_MS = 20_000;
const MIN_WAIT_MS = 1_000;
const MAX_WAIT_MS = 60_000;
const OPEN_STATES: ReadonlySet<string> = new Set(["waiting", "delivering", "retrying"]);

/** Runs one source, and again whenever it has failed, until it is stopped. */
export class SourceRun {
  readonly source: DeclaredSource;
  /** What answers requests to its address; undefined while it has not come so far. */
  answer: AnswerRequest | undefined;
  readonly #deps: SourceRunDeps;
  readonly #report: SourceReport;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;

  /** @param after what is to be over first: the run of what was declared before */
  constructor(source: DeclaredSource, report: SourceReport, deps: SourceRunDeps, after: Promise<void>) {
    this.source = source;
    this.#report = report;
    this.#deps = deps;
    this.#ended = after.then(() => this.#keepRunning());
  }

  /** Resolves once it is over. */
  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#ended;
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    const { id, type } = this.source;
    let waitMs = MIN_WAIT_MS;
    this.#report.is("connecting");
    while (!signal.aborted) {
      let connected = false;
      try {
        await this.#runOnce(() => {
          connected = true;
          this.#report.is("connected");
        });
        if (!signal.aborted) throw new Error("it has ended by itself");
      } catch (error) {
        if (signal.aborted) break;
        const problem = this.#report.failed(error);
        this.#deps.log.warn({ source: id, type, problem }, "a source has failed; it is run again after a while");
      } finally {
        this.answer = undefined;
      }
      if (connected) waitMs = MIN_WAIT_MS;
      await sleep(waitMs * (0.5 + Math.random() / 2), signal);
      waitMs = Math.min(waitMs * 2, MAX_WAIT_MS);
    }
  }

  async #runOnce(connected: () => void): Promise<void> {
    const { source } = this;
    if (source.problem !== undefined) throw new FaasError("invalid", source.problem);
    const { type, settings } = await checkSettings(this.#deps.types, source);
    if (source.suspend) {
      await type.suspended?.(settings, this.#context(connected));
      this.#report.is("suspended");
      return await until(this.#stopping.signal);
    }
    const slowMs = this.#deps.slowMs ?? SLOW_MS;
    const slow = setTimeout(() => {
      const { state, problem } = this.#report.status;
      if (state !== "connecting" || problem !== undefined) return;
      this.#report.is(state, `there is no connection after ${Math.ceil(slowMs / 1000)} s; it goes on trying`);
    }, slowMs);
    try {
      await type.run(settings, this.#context(connected));
    } finally {
      clearTimeout(slow);
    }
  }

  /** What is seen meanwhile stays outside, or is seen again. @throws {FaasError} `unavailable` */
  async #requireBroker(): Promise<void> {
    const { namespace, broker: name } = this.source;
    if ((await this.#deps.hasBroker?.({ namespace, name })) !== false) return;
    throw new FaasError("unavailable", `there is no broker ${namespace}/${name} that would take its events`);
  }

  #context(connected: () => void): SourceContext {
    const { source } = this;
    const { namespace, name, id } = source;
    const { store, resources, readSecret, now, log, targets } = this.#deps;
    const report = this.#report;
    return {
      namespace,
      name,
      emit: async (events) => {
        await this.#requireBroker();
        const appended = await emitEvents(source, events, store, now());
        report.emitted(appended.filter(({ duplicate }) => !duplicate).length);
        return appended;
      },
      isOpen: async (ref) => isOpen(await store.find(namespace, ref)),
      arrivedAt: async (ref) => (await store.find(namespace, ref))?.event.arrivedAt,
      receive: (answer) => {
        this.answer = answer;
      },
      secret: async (secretName, key) => {
        const text = await readSecret(namespace, secretName, key);
        report.secrets.add(text);
        return text;
      },
      cursor: openCursor(resources, id),
      connected,
      lag: (count) => {
        report.lag = count;
      },
      lost: (error) => {
        log.warn({ source: id, type: source.type, problem: report.failed(error) }, "a source has lost what it reads");
      },
      warn: (error) => {
        log.warn({ source: id, type: source.type, problem: report.warned(error) }, "a source could not do something");
      },
      signal: this.#stopping.signal,
      now,
      log,
      targets,
    };
  }
}

/** Whether somebody is still to get it. */
function isOpen(record: EventRecord | undefined): boolean {
  return record !== undefined && (record.pending || record.deliveries.some(({ state }) => OPEN_STATES.has(state)));
}

function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
