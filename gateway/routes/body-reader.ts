import type { IncomingMessage } from "node:http";
import { FaasError } from "../../provider/contract/errors.ts";

/** Reads whole bodies, of which all callers together may have a limited number of bytes in memory. */
export class BodyReader {
  readonly #limitBytes: number;
  readonly #totalBytes: number;
  #held = 0;

  /**
   * @param limitBytes of one body
   * @param totalBytes of all bodies under way, until they are released
   */
  constructor(limitBytes: number, totalBytes: number) {
    this.#limitBytes = limitBytes;
    this.#totalBytes = Math.max(totalBytes, limitBytes);
  }

  /**
   * Gives the body to `use`; its bytes count until that has ended.
   * @throws {FaasError} `tooLarge` as soon as a limit is passed, `overloaded` when there are too many bytes of others,
   *   `invalid` when the body breaks off; and what `use` throws
   */
  async with<T>(req: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T> {
    const lease = { bytes: 0 };
    try {
      return await use(await this.#read(req, lease));
    } finally {
      this.#held -= lease.bytes;
    }
  }

  async #read(req: IncomingMessage, lease: { bytes: number }): Promise<Buffer> {
    const tooLarge = () => new FaasError("tooLarge", `request body is too large, maximum: ${this.#limitBytes} bytes`);
    if (Number(req.headers["content-length"] ?? 0) > this.#limitBytes) throw tooLarge();
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const chunks: Buffer[] = [];
    let refused = false;
    const refuse = (error: FaasError) => {
      refused = true;
      chunks.length = 0;
      reject(error);
    };
    req.on("data", (chunk: Buffer) => {
      if (refused) return;
      if (lease.bytes + chunk.length > this.#limitBytes) return refuse(tooLarge());
      if (this.#held + chunk.length > this.#totalBytes) {
        return refuse(new FaasError("overloaded", "too many asynchronous calls are being sent at a time"));
      }
      lease.bytes += chunk.length;
      this.#held += chunk.length;
      chunks.push(chunk);
    });
    req.on("end", () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    req.on("error", (cause) => reject(new FaasError("invalid", "the request body broke off", { cause })));
    return await promise;
  }
}
