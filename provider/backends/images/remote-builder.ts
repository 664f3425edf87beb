import { createHmac, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { create } from "tar";
import { z } from "zod";
import type { BuildConfig, BuildEvent } from "../../../contract/build.ts";
import { FaasError } from "../../../contract/errors.ts";
import { LineCutter } from "../../../kit/line-cutter.ts";
import type { Builder } from "../backend.ts";
import { checkBuildArgs, checkImageName } from "../build/image-name.ts";
import { type BuildLimits, DEFAULT_BUILD_LIMITS } from "../build/limits.ts";
import { unpackContext } from "../build/unpack.ts";
import { ensureFolder, removeTree } from "../local/files.ts";
import { PACKAGE } from "./package.ts";

export interface RemoteBuilderOptions {
  /** Of a builder with OpenFaaS's builder API. Its path ends in `/`. */
  readonly url: URL;
  /** File with what requests are signed with. */
  readonly secretFile: string;
  /** Unfinished work is in `builds` below it. */
  readonly dataDir: string;
  readonly limits?: Partial<BuildLimits> | undefined;
}

const MAX_LINE_CHARACTERS = 1024 ** 2;
const MAX_REFUSAL_CHARACTERS = 1_000;

const result = z.object({
  log: z.array(z.string()).nullish(),
  image: z.string().nullish(),
  status: z.string(),
  error: z.string().nullish(),
});

/** Has another process build: one that installs packages has no business beside the credentials of a cluster. */
export function openRemoteBuilder({ url, secretFile, dataDir, limits: given }: RemoteBuilderOptions): Builder {
  const limits = { ...DEFAULT_BUILD_LIMITS, ...given };
  return {
    async *build(archive, config, signal) {
      checkImageName(config.image);
      checkBuildArgs(config.buildArgs ?? {});
      const secret = await readSecret(secretFile);
      const folder = join(dataDir, "builds", randomUUID());
      await ensureFolder(folder);
      try {
        const file = await pack(archive, config, { folder, limits, signal });
        yield* askToBuild({ url, file, secret }, signal);
      } finally {
        await removeTree(folder);
      }
    },
  };
}

async function readSecret(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new FaasError("unavailable", "build: the builder's payload secret cannot be read", { cause });
  }
}

/** Puts context and configuration into one tar. @returns its path */
async function pack(
  archive: string,
  { image, buildArgs, platforms }: BuildConfig,
  { folder, limits, signal }: { folder: string; limits: BuildLimits; signal: AbortSignal },
): Promise<string> {
  const content = join(folder, "content");
  const context = join(content, PACKAGE.context);
  await mkdir(context, { recursive: true, mode: 0o700 });
  await unpackContext(archive, context, limits, signal);
  await writeFile(join(content, PACKAGE.config), JSON.stringify({ image, buildArgs, platforms }), { mode: 0o600 });
  const file = join(folder, "package.tar");
  await create({ cwd: content, file, portable: true, follow: false }, [PACKAGE.config, PACKAGE.context]);
  return file;
}

async function* askToBuild(
  { url, file, secret }: { url: URL; file: string; secret: string },
  signal: AbortSignal,
): AsyncGenerator<BuildEvent> {
  const hmac = createHmac("sha256", secret);
  for await (const chunk of createReadStream(file)) hmac.update(chunk as Buffer);
  const init = {
    method: "POST",
    headers: {
      accept: "application/x-ndjson",
      "content-type": "application/octet-stream",
      "content-length": String((await stat(file)).size),
      "x-build-signature": `sha256=${hmac.digest("hex")}`,
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
  const { log, image, status, error } = parse(line);
  if (status === "success" && image) return { status, image, pushed: image.includes("@") };
  if (status === "in_progress") return { status, log: log ?? [] };
  return { status: "failed", error: error || `the builder says ${status.slice(0, 100)}` };
}

function parse(line: string): z.output<typeof result> {
  try {
    return result.parse(JSON.parse(line));
  } catch (cause) {
    throw new FaasError("upstream", "build: what the builder answers makes no sense", { cause });
  }
}
