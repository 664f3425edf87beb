import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RequestHandler } from "express";
import type { BuildEvent } from "../../contract/build.ts";
import { FaasError, toFaasError } from "../../contract/errors.ts";
import type { Logger } from "../../kit/log.ts";
import { clientGone, sendNdjson } from "../../kit/ndjson.ts";
import { within } from "../../kit/within.ts";
import type { Builder } from "../backends/backend.ts";
import { receiveUpload } from "./build-upload.ts";

export interface BuildRouteOptions {
  /** Folder for uploads while they are received and built. */
  readonly uploadDir: string;
  readonly maxUploadBytes: number;
  /** Requests at a time, those that wait included; each may hold `maxUploadBytes` of disk. */
  readonly maxRequests: number;
  readonly heartbeatMs: number;
  /** Longest wait for the first event. From then on the answer has begun, so that no hop in between gives it up. */
  readonly headAfterMs: number;
  readonly log: Logger;
  /** Aborted when the provider closes. */
  readonly closing: AbortSignal;
}

/**
 * `POST /system/build` → 200 with an NDJSON stream of build events; fails as `invalid`, `tooLarge`, `overloaded` or
 * `unsupported` before the first of them, unless that takes long, and with a `failed` event afterwards.
 */
export function postBuild(builder: Builder | undefined, options: BuildRouteOptions): RequestHandler {
  const { uploadDir, maxUploadBytes, maxRequests, heartbeatMs, headAfterMs, log, closing } = options;
  // An empty event shows every hop in between that a quiet install step is alive.
  const heartbeat = { everyMs: heartbeatMs, value: { status: "in_progress", log: [] } satisfies BuildEvent };
  let running = 0;

  return async (req, res) => {
    if (!builder) throw new FaasError("unsupported", "build: this provider runs finished images only");
    if (running >= maxRequests) throw new FaasError("overloaded", "build: too many builds at a time, try again later");
    running += 1;
    let folder: string | undefined;
    try {
      await mkdir(uploadDir, { recursive: true, mode: 0o700 });
      folder = await mkdtemp(join(uploadDir, "upload-"));
      const signal = AbortSignal.any([closing, clientGone(res)]);
      const { archive, config } = await receiveUpload(req, res, { folder, maxBytes: maxUploadBytes, signal });
      const events = builder.build(archive, config, signal)[Symbol.asyncIterator]();
      const first = events.next();
      await within(headAfterMs, first);
      await sendNdjson(res, continued(first, events, log), { signal, heartbeat });
    } finally {
      running -= 1;
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    }
  };
}

/** The events from `first` on; a failure becomes the last one, as the status has already been sent. */
async function* continued(
  first: Promise<IteratorResult<BuildEvent>>,
  rest: AsyncIterator<BuildEvent>,
  log: Logger,
): AsyncGenerator<BuildEvent> {
  try {
    for (let next = await first; !next.done; next = await rest.next()) yield next.value;
  } catch (thrown) {
    const error = toFaasError(thrown);
    if (error.kind === "internal") log.error({ err: error.cause ?? error }, "build failed");
    yield { status: "failed", error: error.message };
  } finally {
    await rest.return?.();
  }
}
