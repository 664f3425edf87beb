import { decodeMqtt } from "../../codec/messages.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import type { MessageEvent } from "../emit-messages.ts";
import { eventOrMessage } from "../event-or-message.ts";
import { sourceUri } from "../plain-message.ts";

/** A packet that publishes, as far as it matters here. */
export interface PublishPacket {
  readonly topic: string;
  readonly payload: Buffer;
  readonly retain: boolean;
  /** Of MQTT 5. */
  readonly properties?: {
    readonly contentType?: string | undefined;
    readonly userProperties?: Readonly<Record<string, string | string[]>> | undefined;
  };
}

interface Declared {
  readonly namespace: string;
  readonly name: string;
  readonly contentType?: string | undefined;
  readonly version: "5" | "3.1.1";
}

/** The event of a packet. @param id the same for a packet that comes again */
export function mqttMessage(
  { topic, payload, retain, properties = {} }: PublishPacket,
  id: string,
  declared: Declared,
): MessageEvent & { readonly problem?: unknown } {
  const isFive = declared.version === "5";
  const contentType = isFive ? properties.contentType : undefined;
  const userProperties = isFive ? { ...properties.userProperties } : undefined;
  const decoded = eventOrMessage(
    () =>
      decodeMqtt({
        payload,
        ...(contentType !== undefined && { contentType }),
        ...(userProperties && { userProperties }),
      }),
    () => ({
      type: "com.faaslane.mqtt.message",
      source: sourceUri("mqttsources", declared, topic),
      id,
      subject: topic,
      contentType: contentType ?? declared.contentType,
      extensions: {
        ...(retain && { mqttretain: "true" }),
        ...Object.fromEntries(
          Object.entries(userProperties ?? {}).map(([name, value]) => [
            name.toLowerCase(),
            typeof value === "string" ? value : value.join(","),
          ]),
        ),
      },
      data: payload,
    }),
  );
  return {
    ...decoded,
    topic,
    headers: new ConnectorHeaders("connector-sdk", topic).list,
    from: `a message of ${topic}`,
  };
}
