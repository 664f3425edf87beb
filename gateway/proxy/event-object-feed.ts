import { parseJson } from "../../contract/decode.ts";
import { FaasError, kindOfStatus } from "../../contract/errors.ts";
import {
  decodeEventObjectRefs,
  decodeEventObjectsEvent,
  decodeStatusOutcomes,
  type EventObjectRef,
  type EventObjectStatus,
  type EventObjectsEvent,
  type StatusOutcome,
} from "../../contract/events/event-object.ts";
import { PATHS } from "../../contract/paths.ts";
import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import { readStream, type StreamAnswer } from "./endpoints-stream.ts";
import type { ProviderConnection } from "./provider-connection.ts";
import { readAnswer } from "./read-answer.ts";

export interface EventObjectFeedOptions {
  readonly connection: Pick<ProviderConnection, "request">;
  /** Longest wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Pick<Logger, "info" | "warn">;
}

interface Sink {
  begin(): void;
  apply(event: EventObjectsEvent): void;
}

const MAX_ANSWER_BYTES = 4 * 1024 ** 2;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 5_000;
/** A provider without objects may be replaced by one that has some. */
const LACKING_MS = 60_000;

/** What the provider tells of the cluster's objects that declare events. */
export class EventObjectFeed {
  readonly #options: EventObjectFeedOptions;

  constructor(options: EventObjectFeedOptions) {
    this.#options = options;
  }

  /** Tells `sink` of objects until `signal` aborts, through reconnections. */
  async follow(sink: Sink, signal: AbortSignal): Promise<void> {
    const { connection, log } = this.#options;
    const read = (line: string) => decodeEventObjectsEvent(parseJson(line, "event objects"));
    let waitMs = RECONNECT_MIN_MS;
    let reported = false;
    while (!signal.aborted) {
      let answer: StreamAnswer = "unsure";
      const answered = (given: StreamAnswer) => {
        answer = given;
        if (given === "begun") sink.begin();
      };
      try {
        const stream = { connection, path: PATHS.eventObjects, what: "the stream of events' objects", read, answered };
        for await (const event of readStream(stream, signal)) {
          sink.apply(event);
          if (reported) log.info({}, "objects of events can be read again");
          reported = false;
          waitMs = RECONNECT_MIN_MS;
        }
      } catch (err) {
        if (signal.aborted) return;
        if (!reported && !isLacking(answer)) {
          log.warn({ err }, "stream of events' objects broke; what they have declared goes on");
          reported = true;
        }
      }
      await sleep(isLacking(answer) ? LACKING_MS * (0.75 + Math.random() / 2) : waitMs, signal);
      waitMs = Math.min(waitMs * 2, RECONNECT_MAX_MS);
    }
  }

  /** @throws {FaasError} when the provider does not say */
  async gone(objects: readonly EventObjectRef[], signal: AbortSignal): Promise<readonly EventObjectRef[]> {
    return decodeEventObjectRefs(await this.#ask("POST", PATHS.eventObjectsGone, { objects }, signal));
  }

  /** @throws {FaasError} */
  async report(statuses: readonly EventObjectStatus[], signal: AbortSignal): Promise<readonly StatusOutcome[]> {
    return decodeStatusOutcomes(await this.#ask("PUT", PATHS.eventObjectStatus, { statuses }, signal));
  }

  async #ask(method: string, path: string, body: object, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#options.connection.request({
      method,
      path,
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#options.timeoutMs)]),
      headers: ["Content-Type", "application/json"],
      body: JSON.stringify(body),
    });
    const text = await readAnswer(answer.body, MAX_ANSWER_BYTES);
    if (answer.statusCode === 200) return parseJson(text, "the provider's answer");
    const why = text.trim() || `the provider answered ${answer.statusCode} to ${method} ${path}`;
    throw new FaasError(kindOfStatus(answer.statusCode), why);
  }
}

function isLacking(answer: StreamAnswer): boolean {
  return answer === "lacking";
}
