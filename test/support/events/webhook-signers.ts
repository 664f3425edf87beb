import { createHmac } from "node:crypto";

type Sign = (body: Buffer, secret: string, id: string, seconds: number) => Record<string, string>;

const hmac = (secret: string | Buffer, algorithm: string, ...parts: (string | Buffer)[]) => {
  const sum = createHmac(algorithm, secret);
  for (const part of parts) sum.update(part);
  return sum;
};

/** How senders prove who they are, written down from what they document. */
export const SIGNERS = {
  github: (body, secret, id) => ({
    "x-github-event": "push",
    "x-github-delivery": id,
    "x-hub-signature-256": `sha256=${hmac(secret, "sha256", body).digest("hex")}`,
  }),
  gitlab: (_body, secret, id) => ({
    "x-gitlab-event": "Push Hook",
    "x-gitlab-event-uuid": id,
    "x-gitlab-token": secret,
  }),
  stripe: (body, secret, _id, seconds) => ({
    "stripe-signature": `t=${seconds},v1=${hmac(secret, "sha256", `${seconds}.`, body).digest("hex")}`,
  }),
  slack: (body, secret, _id, seconds) => ({
    "x-slack-request-timestamp": String(seconds),
    "x-slack-signature": `v0=${hmac(secret, "sha256", `v0:${seconds}:`, body).digest("hex")}`,
  }),
  standard: (body, secret, id, seconds) => {
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    return {
      "webhook-id": id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": `v1,${hmac(key, "sha256", `${id}.${seconds}.`, body).digest("base64")}`,
    };
  },
  hmac: (body, secret, id) => ({
    "x-request-id": id,
    "x-signature": hmac(secret, "sha256", body).digest("hex"),
  }),
  token: (_body, secret, id) => ({ "x-request-id": id, authorization: `Bearer ${secret}` }),
  basic: (_body, secret, id) => ({
    "x-request-id": id,
    authorization: `Basic ${Buffer.from(secret).toString("base64")}`,
  }),
} satisfies Record<string, Sign>;
