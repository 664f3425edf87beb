import type { MsgHdrs } from "nats";
import { decodeNats } from "../../codec/messages.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** A message as it was received. */
export interface ReceivedMessage {
  readonly subject: string;
  readonly headers?: Pick<MsgHdrs, "keys" | "last"> | undefined;
  readonly payload: Buffer;
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly contentType?: string | undefined;
}

/** Of what the server and its clients say to each other. */
const PROTOCOL = /^nats-/i;
const MAX_EXTENSIONS = 50;

/** The event of a message. @param id the same for a message that comes again */
export function natsMessage(
  { subject, headers: given, payload }: ReceivedMessage,
  { id, timeMs }: { readonly id: string; readonly timeMs?: number },
  declared: Declared,
): MessageEvent & { readonly problem?: unknown } {
  const headers = new Map((given?.keys() ?? []).map((name) => [name, given?.last(name) ?? ""]));
  const contentType = [...headers].find(([name]) => name.toLowerCase() === "content-type")?.[1];
  const own = [...headers].filter(([name]) => !PROTOCOL.test(name) && name.toLowerCase() !== "content-type");
  const decoded = eventOrMessage(
    () => decodeNats({ headers, payload }),
    () => ({
      type: "com.faaslane.nats.message",
      source: sourceUri("natssources", declared, subject),
      id,
      subject,
      timeMs,
      contentType: contentType || declared.contentType,
      extensions: Object.fromEntries(
        own
          .slice(0, MAX_EXTENSIONS)
          .map(([name, value]) => [`natsheader${name.toLowerCase().replace(/[^a-z0-9]/g, "")}`, value]),
      ),
      data: payload,
    }),
  );
  return {
    ...decoded,
    topic: subject,
    headers: new ConnectorHeaders("connector-sdk", subject).list,
    from: `message ${id} of ${subject}`,
  };
}
