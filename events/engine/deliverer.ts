import { type ErrorKind, FaasError } from "../../contract/errors.ts";
import { parseRetryAfter } from "../../http/retry-after.ts";
import type { Logger } from "../../kit/log.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { decideNext, type NextAttempt } from "../delivery/next-attempt.ts";
import type { AttemptRecord, DeliverySettlement, EventDelivery, HeaderList, NewEvent } from "../store/event-store.ts";
import type { SubscriberHealth } from "../triggers/subscriber-health.ts";
import type { Trigger, TryOrder } from "../triggers/trigger.ts";
import { deadLetterOf, type LastTry } from "./dead-letter.ts";
import { TryTimeout, withTryDeadline } from "./deadline.ts";
import { type DeliveryTask, isMain, keepsHealth, replyRule, subscriberOf } from "./delivery-task.ts";
import { onwardReply } from "./onward-reply.ts";
import { deliveredEvent, headerBytes, repliedEvent } from "./outgoing.ts";
import type { DeliverySeen, EventAnswer, FunctionCapacity, TransformEvent } from "./ports.ts";
import { type Reply, readReply } from "./reply.ts";
import { hasExpired } from "./router.ts";
import type { Sender, Sent } from "./sender.ts";

export interface DelivererOptions {
  readonly find: (trigger: string) => Trigger | undefined;
  readonly health: Pick<SubscriberHealth, "stop" | "failed" | "succeeded" | "failingSince">;
  readonly sender: Pick<Sender, "send">;
  readonly capacity?: Pick<FunctionCapacity, "refused" | "accepted"> | undefined;
  readonly transform: TransformEvent;
  /** Its receiver asks for a pause. */
  readonly pause: (trigger: string, ms: number) => void;
  /** Of an event in its broker. */
  readonly maxEventBytes: number;
  readonly observe?: ((seen: DeliverySeen) => void) | undefined;
  readonly log: Pick<Logger, "warn" | "debug">;
  readonly now: () => number;
  /** For how old events are. */
  readonly ageNow: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** After so long without any success a subscriber with the policy `webhook` is taken for gone. */
const WEBHOOK_PATIENCE_MS = 5 * 24 * 3600_000;
/** Before another try to settle what could not be settled. */
const SETTLE_AGAIN_MS = 5_000;
const TRANSFORM = "transform: ";
/** When another try to transform an event may go better: a machine that is busy is slow, too. */
const TRANSFORM_AGAIN: ReadonlySet<ErrorKind> = new Set(["unavailable", "overloaded", "timeout"]);
const MAX_NOTED_CHARS = 300;
const MALFORMED_STATUS = 502;
const TOO_MANY = 429;
const NO_HEADERS: HeaderList = [];

/** What is known of a try when it is settled. */
interface Tried {
  readonly answer: EventAnswer;
  readonly reply: Reply;
  readonly sent?: Sent;
  readonly retryAfterMs?: number | undefined;
}

/** Makes deliveries, each of them one try, and says what becomes of them. */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  readonly deliver = async (delivery: EventDelivery, signal: AbortSignal): Promise<DeliverySettlement> => {
    const { observe, log } = this.#options;
    const startedMs = performance.now();
    let settlement: DeliverySettlement;
    try {
      settlement = await this.#deliver(delivery, signal, startedMs);
    } catch (err) {
      if (signal.aborted) return { kind: "back" };
      log.warn({ err, trigger: delivery.trigger }, "a delivery has failed in an unexpected way");
      const attempt = {
        at: this.#options.now(),
        durationMs: performance.now() - startedMs,
        error: textOf(err).slice(0, MAX_NOTED_CHARS),
      };
      const last = delivery.failures >= (this.#options.find(delivery.trigger)?.policy.retries ?? 0);
      settlement = last
        ? { kind: "dead", reason: attempt.error, attempt }
        : { kind: "retry", afterMs: SETTLE_AGAIN_MS, attempt };
    }
    const status = settlement.kind === "back" ? undefined : settlement.attempt?.status;
    observe?.({
      trigger: delivery.trigger,
      outcome: OUTCOMES[settlement.kind],
      durationMs: performance.now() - startedMs,
      status,
    });
    return settlement;
  };

  async #deliver(delivery: EventDelivery, signal: AbortSignal, startedMs: number): Promise<DeliverySettlement> {
    const { find, now } = this.#options;
    const trigger = find(delivery.trigger);
    if (!trigger || trigger.suspended || trigger.problem !== undefined) return { kind: "back" };
    const subscriber = subscriberOf(trigger, delivery);
    if (!subscriber) return { kind: "dead", reason: "there is no dead-letter sink any more" };
    const task: DeliveryTask = { trigger, delivery, subscriber, startedAt: now(), startedMs };
    const never = this.#whyNever(task);
    if (never !== undefined) return await this.#dead(task, never, undefined, undefined);
    if (isMain(delivery) && trigger.onTry) {
      const order = await trigger.onTry(delivery).catch((error: unknown) => error);
      return await this.#ordered(task, order, signal);
    }
    return await this.#try(task, NO_HEADERS, signal);
  }

  /** @param order what the trigger says, or why it could not */
  async #ordered(task: DeliveryTask, order: unknown, signal: AbortSignal): Promise<DeliverySettlement> {
    if (order instanceof Error || typeof order !== "object" || order === null) {
      return await this.#again(task, { ...NOBODY, error: textOf(order) });
    }
    const said = order as TryOrder;
    if (said.kind === "send") {
      const { subscriber } = task;
      const pinned =
        said.version !== undefined && subscriber.kind === "function"
          ? { ...subscriber, version: said.version }
          : subscriber;
      return await this.#try({ ...task, subscriber: pinned }, said.headers, signal);
    }
    const { note, appended } = said;
    return {
      kind: "done",
      attempt: this.#attempt(task, NOBODY, { ...(note !== undefined && { note }) }),
      ...(appended && { appended }),
    };
  }

  /** Why it is not tried at all. */
  #whyNever({ trigger, delivery }: DeliveryTask): string | undefined {
    const { event, replay, deadLetter } = delivery;
    if (deadLetter) return undefined;
    const now = this.#options.ageNow();
    if (trigger.stopped !== undefined && delivery.target === undefined)
      return `the trigger has stopped: ${trigger.stopped}`;
    if (replay !== undefined) return undefined;
    if (hasExpired(event.event.attributes, now)) return "the event has expired";
    return now - event.arrivedAt > trigger.policy.maxAgeMs ? "the event is older than it may be" : undefined;
  }

  async #try(task: DeliveryTask, headers: HeaderList, signal: AbortSignal): Promise<DeliverySettlement> {
    const { trigger, delivery, subscriber } = task;
    const { sender, maxEventBytes, now } = this.#options;
    const rule = replyRule(task);
    let event = deliveredEvent(delivery);
    if (trigger.transform !== undefined && isMain(delivery)) {
      const transformed = await this.#transformed(trigger.transform, event);
      if ("problem" in transformed) return await this.#untransformed(task, transformed);
      event = transformed.event;
    }
    const how = { format: trigger.format, namespace: trigger.namespace, wantsReply: rule !== "none", headers };
    let sent: Sent;
    try {
      sent = await withTryDeadline(trigger.policy.timeoutMs, signal, (cut) =>
        sender.send(subscriber, event, delivery, how, cut),
      );
    } catch (error) {
      if (signal.aborted) return { kind: "back" };
      if (!(error instanceof TryTimeout)) throw error;
      sent = { answer: { ...NOBODY, error: error.message } };
    }
    const { answer } = sent;
    if (this.#isRefused(task, answer)) return { kind: "back" };
    const retryAfter = answer.headers["retry-after"];
    const retryAfterMs =
      sent.retryAfterMs ?? (typeof retryAfter === "string" ? parseRetryAfter(retryAfter, now()) : undefined);
    const reply = readReply(answer, rule, maxEventBytes - headerBytes(delivery.event));
    if (answer.status === TOO_MANY && !answer.internal && retryAfterMs) {
      this.#options.pause(trigger.id, Math.min(retryAfterMs, trigger.policy.maxDelayMs));
    }
    return await this.#settle(task, { answer, reply, sent, retryAfterMs });
  }

  /** Whether the platform had no room for the call. The function has not seen it, so it is no try. */
  #isRefused({ subscriber, startedMs }: DeliveryTask, { status, internal }: EventAnswer): boolean {
    const { capacity } = this.#options;
    if (!capacity || subscriber.kind !== "function") return false;
    const refused = status === TOO_MANY && internal === true;
    if (refused) capacity.refused(subscriber.function, startedMs);
    else capacity.accepted(subscriber.function, startedMs);
    return refused;
  }

  async #transformed(
    expression: string,
    event: CloudEvent,
  ): Promise<{ readonly event: CloudEvent } | { readonly problem: string; readonly again: boolean }> {
    try {
      return { event: await this.#options.transform(expression, event) };
    } catch (error) {
      const again = error instanceof FaasError && TRANSFORM_AGAIN.has(error.kind);
      const text = textOf(error);
      return { problem: text.startsWith(TRANSFORM) ? text : `${TRANSFORM}${text}`, again };
    }
  }

  async #untransformed(
    task: DeliveryTask,
    { problem, again }: { readonly problem: string; readonly again: boolean },
  ): Promise<DeliverySettlement> {
    const answer = { ...NOBODY, error: problem };
    return again ? await this.#again(task, answer) : await this.#dead(task, problem, answer, undefined);
  }

  async #settle(task: DeliveryTask, tried: Tried): Promise<DeliverySettlement> {
    const { answer, reply } = tried;
    if (answer.final) return await this.#dead(task, answer.error ?? "it cannot be sent", answer, tried);
    if (reply.kind === "malformed") {
      return await this.#failed(
        task,
        { error: reply.reason },
        { ...tried, answer: { ...answer, error: reply.reason } },
      );
    }
    const next = this.#decide(task, { ...outcomeOf(answer), hasEvent: reply.kind === "event" }, tried.retryAfterMs);
    if (next.kind !== "done" && next.kind !== "reply") return await this.#follow(task, next, tried);
    return await this.#done(task, tried);
  }

  async #done(task: DeliveryTask, tried: Tried): Promise<DeliverySettlement> {
    const { trigger, delivery } = task;
    const { answer, reply, sent } = tried;
    let appended = sent?.appended;
    let note: string | undefined;
    if (isMain(delivery) && trigger.onAnswer) {
      try {
        const event = reply.kind === "event" ? repliedEvent(reply.event, undefined) : undefined;
        appended = [...(appended ?? []), ...(await trigger.onAnswer(delivery, event, plainAnswer(answer)))];
      } catch (error) {
        return await this.#failed(
          task,
          { error: textOf(error) },
          { ...tried, answer: { ...answer, error: textOf(error) } },
        );
      }
    } else if (reply.kind === "event") {
      const onward = onwardReply(trigger, delivery, reply.event, this.#options.now());
      if ("note" in onward) note = onward.note;
      else appended = [onward.event];
    }
    if (keepsHealth(task)) await this.#options.health.succeeded(trigger);
    const attempt = this.#attempt(task, answer, { ...(note !== undefined && { note }) });
    return { kind: "done", attempt, ...(appended && appended.length > 0 && { appended }) };
  }

  #again(task: DeliveryTask, answer: EventAnswer): Promise<DeliverySettlement> {
    return this.#failed(task, { error: answer.error }, { answer, reply: { kind: "none" } });
  }

  async #failed(
    task: DeliveryTask,
    outcome: { error?: string | undefined },
    tried: Tried,
  ): Promise<DeliverySettlement> {
    return await this.#follow(task, this.#decide(task, outcome, tried.retryAfterMs) as Failed, tried);
  }

  #decide(
    { trigger, delivery }: DeliveryTask,
    outcome: { status?: number | undefined; hasEvent?: boolean; error?: string | undefined },
    retryAfterMs: number | undefined,
  ): NextAttempt {
    const { failures, event, replay, deadLetter } = delivery;
    const { ageNow, random } = this.#options;
    // What is given out again, or given up, is old already.
    const ageMs = replay !== undefined || deadLetter ? 0 : Math.max(0, ageNow() - event.arrivedAt);
    return decideNext({ ...outcome, retryAfterMs }, { failures, ageMs }, trigger.policy, random());
  }

  async #follow(task: DeliveryTask, next: Failed, tried: Tried): Promise<DeliverySettlement> {
    const { trigger } = task;
    const { health, ageNow: now } = this.#options;
    const { answer } = tried;
    if (keepsHealth(task)) await health.failed(trigger, now());
    const failingSince = keepsHealth(task) ? health.failingSince(trigger) : undefined;
    if (
      next.kind === "disable" &&
      // Who sees to what is given up, as flows do, sees to the others too.
      !trigger.onDead &&
      !answer.internal &&
      !task.delivery.deadLetter &&
      task.delivery.target === undefined
    ) {
      await health.stop(trigger, next.reason, now());
    } else if (failingSince !== undefined && now() - failingSince >= WEBHOOK_PATIENCE_MS) {
      await health.stop(trigger, "nothing has been delivered for 5 days", now());
    }
    const reason = `${next.reason}${platformWords(answer)}`;
    if (next.kind !== "retry") return await this.#dead(task, reason, answer, tried);
    return { kind: "retry", afterMs: next.waitMs, attempt: this.#attempt(task, answer, { error: reason }) };
  }

  async #dead(
    task: DeliveryTask,
    reason: string,
    answer: EventAnswer | undefined,
    tried: Tried | undefined,
  ): Promise<DeliverySettlement> {
    const { trigger, delivery } = task;
    const attempt = answer && this.#attempt(task, answer, { error: reason });
    let appended: readonly NewEvent[] | undefined;
    if (isMain(delivery) && trigger.onDead) {
      try {
        appended = await trigger.onDead(
          delivery,
          reason,
          answer?.status === undefined ? undefined : plainAnswer(answer),
        );
      } catch (error) {
        const failed = this.#attempt(task, answer ?? NOBODY, { error: textOf(error) });
        return { kind: "retry", afterMs: SETTLE_AGAIN_MS, attempt: failed };
      }
    }
    const next = isMain(delivery) && trigger.deadLetter && deadLetterOf(delivery, lastTry(task, answer, tried));
    return {
      kind: "dead",
      reason: reason.slice(0, MAX_NOTED_CHARS),
      ...(attempt && { attempt }),
      ...(next && { next }),
      ...(appended && appended.length > 0 && { appended }),
    };
  }

  #attempt(
    { startedAt, startedMs }: DeliveryTask,
    { status, version, replica }: EventAnswer,
    told: { readonly error?: string; readonly note?: string },
  ): AttemptRecord {
    return {
      at: startedAt,
      durationMs: performance.now() - startedMs,
      ...(status !== undefined && { status }),
      ...(version !== undefined && { version }),
      ...(replica !== undefined && { replica }),
      ...(told.error !== undefined && { error: told.error.slice(0, MAX_NOTED_CHARS) }),
      ...(told.note !== undefined && { note: told.note.slice(0, MAX_NOTED_CHARS) }),
    };
  }
}

type Failed = Exclude<NextAttempt, { kind: "done" | "reply" }>;

const OUTCOMES = { done: "delivered", retry: "retried", dead: "dead", back: "back" } as const;
const NOBODY: EventAnswer = { headers: {}, body: Buffer.alloc(0) };

function outcomeOf({ status, error }: EventAnswer): { status?: number; error?: string } {
  return { ...(status !== undefined && { status }), ...(error !== undefined && { error }) };
}

function lastTry({ subscriber }: DeliveryTask, answer: EventAnswer | undefined, tried: Tried | undefined): LastTry {
  const status = tried?.reply.kind === "malformed" ? MALFORMED_STATUS : answer?.status;
  return { subscriber, status, body: answer?.body };
}

function plainAnswer({ status = 0, headers, body }: EventAnswer) {
  const contentType = headers["content-type"];
  return {
    status,
    ...(typeof contentType === "string" && { contentType }),
    ...(body.length > 0 && { body }),
  };
}

/** Why the platform has answered in the function's place, in its own words. */
function platformWords({ internal, body }: EventAnswer): string {
  const [words = ""] = internal ? body.subarray(0, MAX_NOTED_CHARS).toString().trim().split("\n", 1) : [];
  return words === "" ? "" : `: ${words}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
