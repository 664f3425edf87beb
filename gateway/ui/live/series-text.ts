import { crc32 } from "node:zlib";
import { z } from "zod";
import { CHUNK, type StoredRing } from "./step-ring.ts";

/** Bytes before each record: its length, and a checksum of it. */
const HEAD_BYTES = 8;
/** Of one function, which takes a tenth of that when it is busy all the time. */
const MAX_RECORD_BYTES = 4 * 1024 ** 2;
/** Stands for a chunk that is as the one before. */
const SAME = -1;

const whole = z.number().int().min(0);
const preface = z.object({ version: z.literal(1), second: whole, shift: z.number().int() });
const seriesHead = z.object({
  key: z.string().min(1).max(600),
  rings: z
    .array(
      z.object({
        start: whole,
        openPoints: whole.max(2 * CHUNK),
        openBytes: whole,
        chunks: z.array(z.number().int().min(SAME)).max(1_000),
      }),
    )
    .max(10),
});

/** What comes first: where the clock was. */
export type SeriesPreface = Omit<z.output<typeof preface>, "version">;

export interface StoredSeries {
  readonly key: string;
  readonly rings: readonly StoredRing[];
}

export function encodePreface({ second, shift }: SeriesPreface): Buffer {
  return record(JSON.stringify({ version: 1, second, shift }), "");
}

export function encodeSeries({ key, rings }: StoredSeries): Buffer {
  let texts = "";
  const heads = rings.map(({ start, chunks, open, openPoints }) => {
    const lengths = chunks.map((text, place) => {
      if (text === chunks[place - 1]) return SAME;
      texts += text;
      return text.length;
    });
    texts += open;
    return { start, openPoints, openBytes: open.length, chunks: lengths };
  });
  return record(JSON.stringify({ key, rings: heads }), texts);
}

function record(head: string, texts: string): Buffer {
  const json = Buffer.from(head);
  const body = Buffer.concat([Buffer.alloc(4), json, Buffer.from(texts, "latin1")]);
  body.writeUInt32LE(json.length);
  const before = Buffer.alloc(HEAD_BYTES);
  before.writeUInt32LE(body.length);
  before.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([before, body]);
}

/** Reads records one after the other. */
export class SeriesReader {
  readonly #file: Buffer;
  #place = 0;

  constructor(file: Buffer) {
    this.#file = file;
  }

  get isOver(): boolean {
    return this.#place >= this.#file.length;
  }

  /** @throws what says that it is none of ours */
  preface(): SeriesPreface {
    return preface.parse(this.#next().head);
  }

  /** @throws what says that it is damaged */
  series(): StoredSeries {
    const { head, texts } = this.#next();
    const { key, rings } = seriesHead.parse(head);
    let place = 0;
    const take = (length: number) => {
      if (place + length > texts.length) throw new RangeError("ends too early");
      place += length;
      return texts.slice(place - length, place);
    };
    return {
      key,
      rings: rings.map(({ start, openPoints, openBytes, chunks }) => {
        let before = "";
        const read = chunks.map((length) => {
          // Of its own, so that it does not keep all the others.
          if (length !== SAME) before = Buffer.from(take(length), "latin1").toString("latin1");
          return before;
        });
        return { start, openPoints, chunks: read, open: take(openBytes) };
      }),
    };
  }

  #next(): { readonly head: unknown; readonly texts: string } {
    const file = this.#file;
    const start = this.#place + HEAD_BYTES;
    if (start > file.length) throw new RangeError("ends too early");
    const length = file.readUInt32LE(this.#place);
    const end = start + length;
    if (length < 4 || length > MAX_RECORD_BYTES || end > file.length) throw new RangeError("ends too early");
    const body = file.subarray(start, end);
    if (crc32(body) !== file.readUInt32LE(this.#place + 4)) throw new RangeError("does not fit its checksum");
    const json = 4 + body.readUInt32LE();
    if (json > body.length) throw new RangeError("ends too early");
    this.#place = end;
    return {
      head: JSON.parse(body.toString("utf8", 4, json)) as unknown,
      texts: body.toString("latin1", json),
    };
  }
}
