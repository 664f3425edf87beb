import type { Channel, Connection } from "rabbitmq-client";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, lineOf, trueOrFalse } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import { encodeAmqp } from "../../codec/messages.ts";
import { linkFailure } from "../../links/explain.ts";
import { rabbitAt, rabbitConnected, rabbitOptions, rabbitServer } from "../../links/rabbitmq.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { unlessAborted } from "../abortable.ts";
import { nameFor, nameTemplate } from "../name-template.ts";
import type { OpenSink, SinkType } from "../sink.ts";

const WHAT = "a routing key of at most 255 bytes";
const isKey = (name: string) => Buffer.byteLength(name) <= 255 && !/\p{Cc}/u.test(name);

const rabbitSinkSettings = z.strictObject({
  ...rabbitServer,
  /** The default exchange when absent, whose routing keys are names of queues. */
  exchange: maybe(lineOf("the name of an exchange")),
  routingKey: nameTemplate(WHAT, isKey),
  format: maybe(choice("binary", "structured")),
  /** Messages survive a restart of the server, in queues that do. */
  persistent: maybe(trueOrFalse),
  /** An event that no queue takes is tried again, as if it had failed. */
  mandatory: maybe(trueOrFalse),
});
export type RabbitSinkSettings = z.output<typeof rabbitSinkSettings>;

const CLOSE_MS = 3_000;

/** Exchanges of RabbitMQ. An event has been sent once the server has confirmed it. */
export const rabbitSink: SinkType<RabbitSinkSettings> = {
  type: "rabbitmq",
  settings: rabbitSinkSettings,
  open: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    const options = await rabbitOptions(settings, `faaslane ${context.namespace}/${context.name}`, secrets);
    const { Connection } = await import("rabbitmq-client");
    const connection = new Connection(options);
    try {
      await rabbitConnected(connection);
      connection.on("error", () => {}); // whoever sends next is told
      const channel = await connection.acquire();
      await channel.confirmSelect();
      return sinkOf(connection, channel, settings, secrets);
    } catch (error) {
      connection.on("error", () => {});
      connection.unsafeDestroy();
      throw linkFailure(rabbitAt(settings), error, secrets);
    }
  },
};

function sinkOf(
  connection: Connection,
  channel: Channel,
  settings: RabbitSinkSettings,
  secrets: SecretTexts,
): OpenSink {
  const { exchange = "", routingKey, format, persistent = true, mandatory = true } = settings;
  /** What came back before it was confirmed, as no queue takes it. */
  const returned = new Set<string>();
  channel.on("basic.return", ({ appId }) => {
    if (appId !== undefined) returned.add(appId);
  });
  let sent = 0;
  const send = async (event: CloudEvent) => {
    const { body, contentType, applicationProperties } = encodeAmqp(event, format === "structured");
    const key = nameFor(routingKey, event, WHAT, isKey);
    // Tells what comes back apart: ids of events may be there twice.
    const appId = `faaslane/${++sent}`;
    try {
      await channel.basicPublish(
        {
          exchange,
          routingKey: key,
          mandatory,
          durable: persistent,
          messageId: String(event.attributes.id).slice(0, 255),
          appId,
          headers: applicationProperties,
          ...(contentType !== undefined && { contentType }),
        },
        body,
      );
      // What comes back comes before the confirmation, but is told in a later turn of the event loop.
      await new Promise(setImmediate);
    } catch (error) {
      throw linkFailure(rabbitAt(settings), error, secrets);
    }
    // The connection is sound all the same.
    return returned.delete(appId) ? { status: 503, error: `no queue takes ${JSON.stringify(key)}` } : { status: 200 };
  };
  return {
    send: (event, signal) => unlessAborted(send(event), signal),
    close: async () => {
      await within(CLOSE_MS, channel.close()).catch(() => {}); // it is away
      connection.unsafeDestroy();
    },
  };
}
