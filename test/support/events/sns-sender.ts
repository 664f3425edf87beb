import { createSign, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { makeCertificate } from "../certificates.ts";

const SIGNED = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
  UnsubscribeConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
} as const;
type MessageType = keyof typeof SIGNED;
type Fields = Record<string, string>;

export const TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders";

/** Stands in for Amazon SNS: signs messages, and has the certificate and the confirmations at its own address. */
export class SnsSender {
  readonly url: string;
  readonly asked: string[] = [];
  /** What is answered instead of the certificate. */
  certificate: { readonly status: number; readonly body: string } | undefined;
  confirmStatus = 200;
  readonly #server: Server;
  readonly #own = makeCertificate("sns.amazonaws.com", [], 3600e3, "rsa");

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async open(): Promise<SnsSender> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const sender = new SnsSender(server);
    server.on("request", (req: IncomingMessage, res) => {
      const url = req.url ?? "";
      sender.asked.push(url);
      const { status, body } = url.startsWith("/?")
        ? { status: sender.confirmStatus, body: "<ConfirmSubscriptionResponse/>" }
        : (sender.certificate ?? { status: 200, body: sender.#own.cert });
      res.writeHead(status, { ...(status === 302 && { location: `${sender.url}/elsewhere.pem` }) }).end(body);
    });
    return sender;
  }

  /** A message as it is posted. @param spoil changes fields after they were signed */
  message(type: MessageType, given: Fields = {}, version = "2", spoil: Fields = {}): Buffer {
    const fields: Fields = {
      Type: type,
      MessageId: randomUUID(),
      TopicArn: TOPIC,
      Message: "hello",
      Timestamp: new Date().toISOString(),
      SignatureVersion: version,
      SigningCertURL: `${this.url}/SimpleNotificationService-0123456789abcdef.pem`,
      ...(type !== "Notification" && {
        Token: "t-1",
        SubscribeURL: `${this.url}/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=t-1`,
      }),
      ...given,
    };
    const text = SIGNED[type].map((name) => (fields[name] === undefined ? "" : `${name}\n${fields[name]}\n`)).join("");
    const signature = createSign(version === "1" ? "sha1" : "sha256").update(text);
    return Buffer.from(JSON.stringify({ ...fields, Signature: signature.sign(this.#own.key, "base64"), ...spoil }));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
