import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import type { FinishedBatch, FinishedMember, Result } from "../../queue/queue.ts";

/** One line of a batch's results. */
interface ResultLine {
  readonly index: number;
  readonly state: FinishedMember["state"];
  readonly reason?: string | undefined;
  readonly status?: number | undefined;
  readonly durationMs?: number | undefined;
  /** By lower-case name; those that came more than once as a list. */
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
  /** Absent when `body` is the text itself. */
  readonly encoding?: "base64";
}

/** The results of all members as NDJSON, read from the queue as they are sent: not all of them fit into memory. */
export function batchResults(batch: Pick<FinishedBatch, "members">): Readable {
  return Readable.from(linesOf(batch), { objectMode: false });
}

async function* linesOf(batch: Pick<FinishedBatch, "members">): AsyncGenerator<Buffer> {
  for await (const member of batch.members()) yield Buffer.from(`${JSON.stringify(buildResultLine(member))}\n`);
}

export function buildResultLine({ index, state, reason, outcome }: FinishedMember): ResultLine {
  const { status, durationMs, result } = outcome ?? {};
  return { index, state, reason, status, durationMs, ...(result ? describeResult(result) : {}) };
}

const TEXT =
  /^(text\/|application\/([^;]*\+)?(json|xml)\b|application\/(x-ndjson|x-www-form-urlencoded|javascript)\b)/i;

function describeResult({ headers, body }: Result): Pick<ResultLine, "headers" | "body" | "encoding"> {
  const byName = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    byName[lower] = lower in byName ? [byName[lower] ?? [], value].flat() : value;
  }
  const type = [byName["content-type"]].flat()[0];
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const encoded = "content-encoding" in byName;
  if (!encoded && (type === undefined || TEXT.test(type)) && isUtf8(bytes)) {
    return { headers: byName, body: bytes.toString("utf8") };
  }
  return { headers: byName, body: bytes.toString("base64"), encoding: "base64" };
}
