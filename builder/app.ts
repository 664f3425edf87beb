import { randomUUID } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { BuildEvent } from "../contract/build.ts";
import { ERROR_HEADER } from "../contract/error-codes.ts";
import { FaasError, STATUS, toFaasError } from "../contract/errors.ts";
import type { Logger } from "../kit/log.ts";
import { clientGone, NDJSON, sendNdjson } from "../kit/ndjson.ts";
import type { Handler } from "../kit/server.ts";
import type { ImageBuilder } from "../provider/backends/images/image-builder.ts";
import { receiveSigned } from "./receive.ts";
import { type BuildResult, resultsOf } from "./results.ts";

export interface BuilderAppOptions {
  readonly builder: Pick<ImageBuilder, "buildPackage">;
  /** Folder for uploads while they are received and built. */
  readonly uploadDir: string;
  readonly maxUploadBytes: number;
  /** Requests at a time, those that wait included. */
  readonly maxRequests: number;
  /** File with what requests are signed with; absent takes unsigned ones. */
  readonly secretFile: string | undefined;
  readonly heartbeatMs: number;
  readonly log: Logger;
  /** Aborted when the process closes. */
  readonly closing: AbortSignal;
}

/** OpenFaaS's builder API: `POST /build`. */
export function buildBuilder(options: BuilderAppOptions): Handler {
  let running = 0;
  return async (req, res) => {
    const [path] = (req.url ?? "").split("?", 1);
    try {
      if (path === "/healthz" || path === "/") {
        res.end();
        return;
      }
      if (path !== "/build") throw new FaasError("notFound", "404 page not found", { code: "unknown_route" });
      if (req.method !== "POST") throw new FaasError("notAllowed", "build: the method must be POST");
      if (running >= options.maxRequests) {
        throw new FaasError("overloaded", "build: too many builds at a time, try again later");
      }
      running += 1;
      try {
        await build(req, res, options);
      } finally {
        running -= 1;
      }
    } catch (thrown) {
      sendError(req, res, thrown, options.log);
    }
  };
}

async function build(req: IncomingMessage, res: ServerResponse, options: BuilderAppOptions): Promise<void> {
  const { builder, uploadDir, maxUploadBytes, heartbeatMs, closing } = options;
  const startedAt = performance.now();
  const secret = options.secretFile === undefined ? undefined : await readSecret(options.secretFile);
  await mkdir(uploadDir, { recursive: true, mode: 0o700 });
  const path = join(uploadDir, randomUUID());
  try {
    await receiveSigned(req, { path, maxBytes: maxUploadBytes, secret });
    const signal = AbortSignal.any([closing, clientGone(res)]);
    const events = builder.buildPackage(path, signal)[Symbol.asyncIterator]();
    // What breaks a rule is known before the first event, and has a status of its own.
    const first = await events.next();
    const results = resultsUntil(first, events, () => Math.round(performance.now() - startedAt) / 1000);
    if (req.headers.accept?.includes(NDJSON)) {
      const beat = { log: [], image: "", status: "in_progress" } satisfies BuildResult;
      await sendNdjson(res, results, { signal, heartbeat: { everyMs: heartbeatMs, value: beat } });
      return;
    }
    const body = Buffer.from(JSON.stringify(await lastOf(results)));
    res.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length }).end(body);
  } finally {
    await rm(path, { force: true });
  }
}

async function* resultsUntil(
  first: IteratorResult<BuildEvent>,
  rest: AsyncIterator<BuildEvent>,
  seconds: () => number,
): AsyncGenerator<BuildResult> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield* resultsOf(next.value, "", seconds());
  } catch (thrown) {
    yield* resultsOf({ status: "failed", error: toFaasError(thrown).message }, "", seconds());
  } finally {
    await rest.return?.();
  }
}

/** The last result, with the output of all. */
async function lastOf(results: AsyncIterable<BuildResult>): Promise<BuildResult> {
  const log: string[] = [];
  let last: BuildResult = { log, image: "", status: "failed", error: "the build ended without a word" };
  for await (const result of results) {
    log.push(...result.log);
    last = result;
  }
  return { ...last, log };
}

async function readSecret(file: string): Promise<string> {
  let secret: string;
  try {
    secret = (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new FaasError("unavailable", "build: the payload secret cannot be read", { cause });
  }
  if (secret === "") throw new FaasError("unavailable", "build: the payload secret is empty");
  return secret;
}

function sendError(req: IncomingMessage, res: ServerResponse, thrown: unknown, log: Logger): void {
  const error = toFaasError(thrown);
  if (error.kind === "internal") log.error({ err: error.cause ?? error }, "build request failed");
  if (res.headersSent) {
    res.destroy();
    return;
  }
  res.writeHead(STATUS[error.kind], {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    [ERROR_HEADER]: error.code,
    // The rest of what is being sent is not waited for.
    ...(!req.complete && { Connection: "close" }),
  });
  res.end(`${error.message}\n`);
}
