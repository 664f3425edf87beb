import { randomUUID } from "node:crypto";
import type { NatsConnection } from "nats";
import { EmitTogether } from "../emit-together.ts";
import type { SourceContext } from "../source.ts";
import { natsMessage } from "./nats-message.ts";
import type { NatsSourceSettings } from "./nats-settings.ts";

/** Messages that wait for the store; further ones are lost, as those are that come while nobody is connected. */
const MOST_WAITING = 10_000;

/** Subscribes. Nothing is acknowledged in core NATS: what cannot be stored is lost. */
export async function receiveFromSubjects(
  connection: NatsConnection,
  { subjects = [], contentType }: NatsSourceSettings,
  queue: string,
  context: SourceContext,
): Promise<void> {
  const together = new EmitTogether(context);
  const declared = { namespace: context.namespace, name: context.name, contentType };
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  let waiting = 0;
  for (const subject of subjects) {
    connection.subscribe(subject, {
      queue,
      callback: (error, message) => {
        if (error) return fail(error);
        if (waiting >= MOST_WAITING) {
          context.warn(new Error(`a message of ${message.subject} is lost: ${MOST_WAITING} wait to be stored`));
          return;
        }
        waiting++;
        const id = message.headers?.get("Nats-Msg-Id") || randomUUID();
        const received = { subject: message.subject, headers: message.headers, payload: Buffer.from(message.data) };
        const { problem, ...event } = natsMessage(received, { id }, declared);
        if (problem !== undefined) context.warn(problem);
        together
          .emit(event)
          .catch((lost: unknown) => context.warn(lost))
          .finally(() => {
            waiting--;
          });
      },
    });
  }
  // A subscription that is not allowed is told by now.
  await connection.flush();
  context.connected();
  await failed;
}
