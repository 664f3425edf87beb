import type { Link } from "../../../nats/connection.ts";
import type { Publisher } from "../../../nats/publisher.ts";
import { purgeSubject, readMessage } from "../../../nats/stored-message.ts";
import { isCount, isObject, UnreadableError } from "./wire-fields.ts";

/** Where a body lies that does not fit into its call's message. */
export interface BodyRef {
  readonly key: string;
  readonly parts: number;
  readonly bytes: number;
}

/** One token of a subject: with a wildcard in it, others' bodies would go with it. */
const KEY = /^[\w-]{1,64}$/;

/** @throws {UnreadableError} */
export function decodeBodyRef(value: unknown): BodyRef {
  if (!isObject(value)) throw new UnreadableError("where its body lies is not to be read");
  const { key, parts, bytes } = value;
  if (typeof key !== "string" || !KEY.test(key) || !isCount(parts) || !isCount(bytes) || parts > Math.max(1, bytes)) {
    throw new UnreadableError("where its body lies is not to be read");
  }
  return { key, parts, bytes };
}

const MAX_PART_BYTES = 512 * 1024;
/** For subject, headers and what a call gathers on its way, in a message of full size. */
const MARGIN_BYTES = 8192;

/**
 * Large bodies, in parts of a size that the server takes. Plain messages under one subject: they are written without
 * looking anything up and removed in one request, of which the object store of the client needs several.
 */
export class Bodies {
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #stream: string;
  readonly #prefix: string;

  /** @param prefix of the subjects, which have two more tokens: key and number of the part */
  constructor(link: Link, publisher: Publisher, stream: string, prefix: string) {
    this.#link = link;
    this.#publisher = publisher;
    this.#stream = stream;
    this.#prefix = prefix;
  }

  /** Whether a message of `bytes` is too large for the server. */
  isLarge(bytes: number): boolean {
    return bytes + MARGIN_BYTES > this.#link.maxPayload;
  }

  /** @throws as {@link Publisher.publish} */
  async store(key: string, body: Uint8Array): Promise<BodyRef> {
    const partBytes = Math.min(MAX_PART_BYTES, this.#link.maxPayload - MARGIN_BYTES);
    const parts = Math.ceil(body.byteLength / partBytes);
    const storing = Array.from({ length: parts }, (_, part) =>
      this.#publisher.publish(
        `${this.#prefix}.${key}.${part}`,
        body.subarray(part * partBytes, Math.min((part + 1) * partBytes, body.byteLength)),
      ),
    );
    await Promise.all(storing);
    return { key, parts, bytes: body.byteLength };
  }

  /** @throws {Error} when a part is missing */
  async load({ key, parts, bytes }: BodyRef): Promise<Buffer> {
    const found = await Promise.all(
      Array.from({ length: parts }, (_, part) =>
        readMessage(this.#link, this.#stream, { last_by_subj: `${this.#prefix}.${key}.${part}` }),
      ),
    );
    const body = Buffer.concat(found.flatMap((message) => message?.data ?? []));
    if (body.length !== bytes) throw new BodyLostError(`the body has ${body.length} of ${bytes} bytes`);
    return body;
  }

  async remove({ key }: Pick<BodyRef, "key">): Promise<void> {
    await purgeSubject(this.#link, this.#stream, `${this.#prefix}.${key}.*`);
  }
}

/** A body, or a part of it, is not there (any more). */
export class BodyLostError extends Error {
  override readonly name = "BodyLostError";
}
