import { createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { type BuildEvent, decodeBuilderResult } from "../contract/build.ts";
import { FaasError } from "../contract/errors.ts";
import { LineCutter } from "./line-cutter.ts";

export interface BuilderRequest {
  /** Of a builder with OpenFaaS's builder API. Its path ends in `/`. */
  readonly url: URL;
  /** A tar, as `PACKAGE` says. */
  readonly file: string;
  /** What the request is signed with; a builder that asks for no signature wants none. */
  readonly secret: string | undefined;
}

const MAX_LINE_CHARACTERS = 1024 ** 2;
const MAX_REFUSAL_CHARACTERS = 1_000;

/**
 * Has a builder build, and passes on what it says. Ends with a `success` or `failed` event.
 * @throws {FaasError} `invalid`, `tooLarge` or `overloaded` when it refuses the package, `upstream` when it is at fault
 */
export async function* askBuilder(
  { url, file, secret }: BuilderRequest,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent> {
  const init = {
    method: "POST",
    headers: {
      accept: "application/x-ndjson",
      "content-type": "application/octet-stream",
      "content-length": String((await stat(file)).size),
      ...(secret !== undefined && { "x-build-signature": await sign(file, secret) }),
    },
    body: Readable.toWeb(createReadStream(file)),
    duplex: "half",
    signal,
  };
  const answer = await fetch(new URL("build", url), init as RequestInit).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new FaasError("upstream", "build: the builder cannot be reached", { cause });
  });
  if (answer.status !== 200 && answer.status !== 202) throw await refusalOf(answer);
  for await (const event of eventsOf(answer.body)) {
    yield event;
    if (event.status !== "in_progress") return;
  }
  throw new FaasError("upstream", "build: the builder has broken off");
}

async function sign(file: string, secret: string): Promise<string> {
  const hmac = createHmac("sha256", secret);
  for await (const chunk of createReadStream(file)) hmac.update(chunk as Buffer);
  return `sha256=${hmac.digest("hex")}`;
}

/** What it says of a context is for the client; what it says of us is not. */
async function refusalOf(answer: Response): Promise<FaasError> {
  const text = (await answer.text()).trim().slice(0, MAX_REFUSAL_CHARACTERS);
  if (answer.status === 400) return new FaasError("invalid", text);
  if (answer.status === 413) return new FaasError("tooLarge", text);
  if (answer.status === 429) return new FaasError("overloaded", text);
  return new FaasError("upstream", `build: the builder answers ${answer.status}: ${text}`);
}

async function* eventsOf(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<BuildEvent> {
  const cutter = new LineCutter(MAX_LINE_CHARACTERS, "split");
  for await (const chunk of body ?? []) {
    for (const line of cutter.push(Buffer.from(chunk))) if (line.trim() !== "") yield eventOf(line);
  }
}

function eventOf(line: string): BuildEvent {
  try {
    return decodeBuilderResult(JSON.parse(line));
  } catch (cause) {
    throw new FaasError("upstream", "build: what the builder answers makes no sense", { cause });
  }
}
