import { createHash } from "node:crypto";
import type { NatsConnection } from "nats";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { choice, trueOrFalse } from "../../../contract/events/server-settings.ts";
import { within } from "../../../kit/within.ts";
import type { CloudEvent } from "../../codec/cloud-event.ts";
import { encodeNats } from "../../codec/messages.ts";
import { linkFailure } from "../../links/explain.ts";
import { natsAt, natsLost, natsServers, natsSubject, openNats } from "../../links/nats.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { unlessAborted } from "../abortable.ts";
import { nameFor, nameTemplate } from "../name-template.ts";
import type { OpenSink, SinkType } from "../sink.ts";

const WHAT = "a subject without wildcards";
const isSubject = (name: string) => natsSubject.safeParse(name).success && !/(^|\.)[*>](\.|$)/.test(name);

const natsSinkSettings = z.strictObject({
  ...natsServers,
  subject: nameTemplate(WHAT, isSubject),
  /** A stream has to take the events. Otherwise they have been sent once the server has them, whoever listens. */
  jetstream: maybe(trueOrFalse),
  format: maybe(choice("binary", "structured")),
});
export type NatsSinkSettings = z.output<typeof natsSinkSettings>;

const CLOSE_MS = 2_000;

/** Subjects of NATS, or of its streams. */
export const natsSink: SinkType<NatsSinkSettings> = {
  type: "nats",
  settings: natsSinkSettings,
  open: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      const connection = await openNats(settings, `faaslane ${context.namespace}/${context.name}`, secrets);
      return await sinkOf(connection, settings, secrets);
    } catch (error) {
      throw linkFailure(natsAt(settings), error, secrets);
    }
  },
};

async function sinkOf(connection: NatsConnection, settings: NatsSinkSettings, secrets: SecretTexts): Promise<OpenSink> {
  const { headers: newHeaders } = await import("nats");
  const lost = natsLost(connection);
  lost.catch(() => {}); // whoever sends next is told
  const send = async (event: CloudEvent) => {
    const { headers, payload } = encodeNats(event, settings.format === "structured");
    const maxBytes = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const subject = nameFor(settings.subject, event, WHAT, isSubject);
    const sent = newHeaders();
    let bytes = payload.length;
    for (const [name, value] of headers) {
      sent.set(name, value);
      bytes += name.length + value.length + 4;
    }
    if (bytes > maxBytes)
      return { status: 400, error: `the event is larger than the ${maxBytes} bytes that NATS takes` };
    try {
      const publishing = settings.jetstream
        ? connection.jetstream().publish(subject, payload, { headers: sent, msgID: messageId(event) })
        : published(connection, subject, payload, sent);
      await Promise.race([publishing, lost]);
      return { status: 200 };
    } catch (error) {
      const { code } = error as { code?: unknown };
      // Nobody keeps what is sent there: the connection is sound.
      if (code === "503") return { status: 503, error: `no stream takes ${subject}` };
      throw linkFailure(natsAt(settings), error, secrets);
    }
  };
  return {
    send: (event, signal) => unlessAborted(send(event), signal),
    close: async () => void (await within(CLOSE_MS, connection.close())),
  };
}

async function published(
  connection: NatsConnection,
  subject: string,
  payload: Buffer,
  headers: NonNullable<Parameters<NatsConnection["publish"]>[2]>["headers"],
): Promise<void> {
  connection.publish(subject, payload, { ...(headers && { headers }) });
  await connection.flush();
}

/** Has the stream take an event once that is sent again as nobody saw the answer. */
function messageId({ attributes }: CloudEvent): string {
  const { source, id, faaslanereplay = "" } = attributes;
  return createHash("sha256")
    .update(JSON.stringify([source, id, faaslanereplay]))
    .digest("hex");
}
