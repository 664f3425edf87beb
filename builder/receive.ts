import { createHmac, timingSafeEqual } from "node:crypto";
import { open } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { FaasError } from "../contract/errors.ts";

export interface ReceiveSettings {
  /** Where the body goes: a file that is not there yet. */
  readonly path: string;
  readonly maxBytes: number;
  /** What the signature is made with; absent takes unsigned bodies. */
  readonly secret: string | undefined;
}

/**
 * Receives a body into a file, and checks that it is signed.
 * @throws {FaasError} `unauthorized` without the right signature, `tooLarge`, or `invalid` when it breaks off
 */
export async function receiveSigned(req: IncomingMessage, { path, maxBytes, secret }: ReceiveSettings): Promise<void> {
  const given = secret === undefined ? undefined : signatureOf(req);
  const tooLarge = new FaasError("tooLarge", `build: the upload is larger than ${maxBytes} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > maxBytes) throw tooLarge;
  const hmac = createHmac("sha256", secret ?? "");
  await using file = await open(path, "wx", 0o600);
  let received = 0;
  for await (const chunk of bodyOf(req)) {
    received += chunk.length;
    if (received > maxBytes) throw tooLarge;
    hmac.update(chunk);
    await file.writeFile(chunk);
  }
  if (given !== undefined && !timingSafeEqual(hmac.digest(), given)) throw unsigned();
}

async function* bodyOf(req: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // An answer is owed to whom it is closed on.
    yield* req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new FaasError("invalid", "build: the upload broke off", { cause });
  }
}

/** @throws {FaasError} before anything of the body is read */
function signatureOf({ headers }: IncomingMessage): Buffer {
  const header = String(headers["x-build-signature"] ?? "");
  const [, hex] = /^sha256=([0-9a-f]{64})$/i.exec(header) ?? [];
  if (hex === undefined) throw unsigned();
  return Buffer.from(hex, "hex");
}

function unsigned(): FaasError {
  const how = "X-Build-Signature must be sha256= and the HMAC of the body with the payload secret";
  return new FaasError("unauthorized", `build: ${how}`);
}
