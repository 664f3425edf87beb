import type { IncomingMessage } from "node:http";
import { FaasError } from "../../contract/errors.ts";
import { BodyTurns } from "../../http/turn-share.ts";
import { chooseToGiveUp, UploadProgress } from "../core/upload-progress.ts";

export interface BodyReaderOptions {
  /** Bytes of one body. */
  readonly limitBytes: number;
  /** Bytes of all bodies under way, until they are released. */
  readonly totalBytes: number;
  /** Whose bodies they are, in the plural. */
  readonly what?: string;
  /** Milliseconds that only go forward. Default: those of this process. */
  readonly clock?: () => number;
}

/**
 * Reads whole bodies, of which all callers together may have a limited number of bytes in memory. A body counts with
 * what has arrived of it; when there is no more room, the upload that gets on worst is given up.
 */
export class BodyReader {
  readonly #limitBytes: number;
  readonly #totalBytes: number;
  readonly #what: string;
  readonly #clock: () => number;
  /** Under way; those that are whole cannot be given up any more. */
  readonly #uploads = new Set<Upload>();
  #held = 0;

  constructor({
    limitBytes,
    totalBytes,
    what = "asynchronous calls",
    clock = () => performance.now(),
  }: BodyReaderOptions) {
    this.#what = what;
    this.#limitBytes = limitBytes;
    this.#totalBytes = Math.max(totalBytes, limitBytes);
    this.#clock = clock;
  }

  /**
   * Gives the body to `use`; its bytes count until that has ended.
   * @param tap gets each piece as it arrives
   * @param mostBytes for this one, if that is less than for all
   * @throws {FaasError} `tooLarge` as soon as a limit is passed, `overloaded` when others need the room more, `invalid`
   *   when the body breaks off; and what `use` throws
   */
  async with<T>(
    req: IncomingMessage,
    use: (body: Buffer) => Promise<T>,
    tap?: (piece: Buffer) => void,
    mostBytes = this.#limitBytes,
  ): Promise<T> {
    const limit = Math.min(mostBytes, this.#limitBytes);
    if (Number(req.headers["content-length"] ?? 0) > limit) throw tooLarge(limit);
    const upload = new Upload(this.#clock());
    this.#uploads.add(upload);
    let held = 0;
    try {
      const body = await this.#read(req, upload, limit, tap);
      held = body.length;
      return await use(body);
    } finally {
      this.#uploads.delete(upload);
      this.#held -= held;
    }
  }

  async #read(
    req: IncomingMessage,
    upload: Upload,
    limit: number,
    tap: ((piece: Buffer) => void) | undefined,
  ): Promise<Buffer> {
    const turns = new BodyTurns();
    req.on("data", (piece: Buffer) => {
      if (upload.over) return;
      if (!turns.take(piece.length)) {
        req.pause();
        turns.wait(() => req.resume());
      }
      if (upload.progress.bytes + piece.length > limit) {
        this.#giveUp(upload, tooLarge(limit));
        return;
      }
      upload.add(piece, this.#clock());
      this.#held += piece.length;
      tap?.(piece);
      this.#makeRoom();
    });
    req.on("end", () => {
      if (upload.over) return;
      this.#uploads.delete(upload);
      upload.finish();
    });
    const breakOff = (cause?: Error) =>
      this.#giveUp(upload, new FaasError("invalid", "the request body broke off", { cause }));
    req.on("error", breakOff);
    // Its connection may have closed while the function was looked for; then nothing more is heard of it.
    if (req.destroyed && !req.readableEnded) breakOff();
    return await upload.body;
  }

  #makeRoom(): void {
    while (this.#held > this.#totalBytes) {
      const worst = chooseToGiveUp(this.#uploads, this.#clock());
      if (!worst) return;
      this.#giveUp(worst, new FaasError("overloaded", `too many ${this.#what} are being sent at a time`));
    }
  }

  #giveUp(upload: Upload, why: FaasError): void {
    if (upload.over) return;
    this.#uploads.delete(upload);
    this.#held -= upload.progress.bytes;
    upload.fail(why);
  }
}

function tooLarge(limit: number): FaasError {
  return new FaasError("tooLarge", `request body is too large, maximum: ${limit} bytes`);
}

/** A body on its way. */
class Upload {
  readonly progress: UploadProgress;
  readonly #whole = Promise.withResolvers<Buffer>();
  #pieces: Buffer[] = [];
  #over = false;

  constructor(now: number) {
    this.progress = new UploadProgress(now);
  }

  get body(): Promise<Buffer> {
    return this.#whole.promise;
  }

  /** Whether it is whole, or has failed. */
  get over(): boolean {
    return this.#over;
  }

  add(piece: Buffer, now: number): void {
    this.progress.add(piece.length, now);
    this.#pieces.push(piece);
  }

  finish(): void {
    const [first] = this.#pieces;
    this.#over = true;
    this.#whole.resolve(this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces));
    this.#pieces = [];
  }

  fail(why: FaasError): void {
    this.#over = true;
    this.#pieces = [];
    this.#whole.reject(why);
  }
}
