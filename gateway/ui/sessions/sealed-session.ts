import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { Credentials } from "../../../kit/basic-auth.ts";

/** What a session's cookie holds; only gateways with the same password can read or make one. */
export interface SessionRecord {
  readonly id: string;
  readonly user: string;
  /** What a request has to show beside the cookie, base64url. Nobody but gateways can read it here. */
  readonly token: string;
  /** Milliseconds since the epoch: when somebody signed in, and when the session was last renewed. */
  readonly begunAt: number;
  readonly seenAt: number;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Far above what one takes. */
const MAX_SEALED_CHARS = 1_024;

/** By the password: who changes it ends all sessions, and several gateways need to share nothing else. */
function keyOf({ user, password }: Pick<Credentials, "user" | "password">): Buffer {
  return Buffer.from(hkdfSync("sha256", password, user, "faaslane dashboard session", 32));
}

export function sealSession(record: SessionRecord, credentials: Pick<Credentials, "user" | "password">): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", keyOf(credentials), nonce);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(record)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url");
}

/** @returns undefined for what no gateway with this password has made */
export function openSession(
  text: string,
  credentials: Pick<Credentials, "user" | "password">,
): SessionRecord | undefined {
  if (text.length > MAX_SEALED_CHARS) return undefined;
  const bytes = Buffer.from(text, "base64url");
  if (bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined;
  try {
    const decipher = createDecipheriv("aes-256-gcm", keyOf(credentials), bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    return JSON.parse(opened.toString("utf8")) as SessionRecord;
  } catch {
    return undefined;
  }
}
