import { join } from "node:path";
import type { Request, Response } from "express";
import multer from "multer";
import { MAX_JSON_DEPTH } from "../../contract/bounded-json.ts";
import { type BuildConfig, decodeBuildConfig } from "../../contract/build.ts";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";

export interface Upload {
  /** File with the tar or tar.gz. */
  readonly archive: string;
  readonly config: BuildConfig;
}

export interface ReceiveOptions {
  readonly folder: string;
  /** Of the context. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

const MAX_CONFIG_BYTES = 64 * 1024;

/** What a body may hold next to its archive: boundaries, part heads and the config. */
const MAX_ENVELOPE_BYTES = 1024 * 1024;

/**
 * Receives `multipart/form-data` with the parts `context` (file) and `config` (JSON text) into `folder`, which the
 * caller removes.
 * @param signal aborted when nobody waits for it any more
 * @throws {FaasError} `invalid` naming the part that is missing or wrong, or when `signal` aborts; `tooLarge`
 */
export async function receiveUpload(
  req: Request,
  res: Response,
  { folder, maxBytes, signal }: ReceiveOptions,
): Promise<Upload> {
  await receiveParts(req, res, { folder, maxBytes, signal });
  const fields = (req.body ?? {}) as Record<string, unknown>;
  if (!req.file) {
    throw wrongPart("context", Object.hasOwn(fields, "context") ? "must be a file, not a field" : "is missing");
  }
  const unknown = Object.keys(fields).find((name) => name !== "config");
  if (unknown !== undefined) throw wrongPart(unknown, "is not known");
  if (fields.config === undefined) throw wrongPart("config", "is missing");
  // A repeated field is an array, and one named `config[image]` an object.
  if (typeof fields.config !== "string") throw wrongParts();
  return { archive: join(folder, req.file.filename), config: readConfig(fields.config) };
}

function wrongPart(part: string, why: string, kind: "invalid" | "tooLarge" = "invalid"): FaasError {
  return new FaasError(kind, `build: part ${JSON.stringify(part.slice(0, 100))}: ${why}`);
}

function wrongParts(cause?: unknown): FaasError {
  return new FaasError("invalid", "build: there must be one part context and one part config, and no other", { cause });
}

function readConfig(text: string): BuildConfig {
  let value: unknown;
  try {
    value = parseJson(text, "config", 2_000);
  } catch {
    throw wrongPart("config", `must be JSON of at most ${MAX_JSON_DEPTH} levels`);
  }
  return decodeBuildConfig(value);
}

async function receiveParts(req: Request, res: Response, { folder, maxBytes, signal }: ReceiveOptions): Promise<void> {
  if (!/^multipart\/form-data\b/i.test(req.headers["content-type"] ?? "")) {
    throw new FaasError("invalid", "build: the body must be multipart/form-data with the parts context and config");
  }
  const maxBodyBytes = maxBytes + MAX_ENVELOPE_BYTES;
  const tooLarge = new FaasError("tooLarge", `build: the upload is larger than ${maxBytes} bytes`);
  if (Number(req.headers["content-length"] ?? 0) > maxBodyBytes) throw tooLarge;

  const parse = multer({
    storage: multer.diskStorage({ destination: folder, filename: (_req, _file, done) => done(null, "context.tar") }),
    limits: {
      fileSize: maxBytes,
      // One more than there should be of each, so that the wrong one can be named.
      files: 2,
      fields: 2,
      parts: 4,
      fieldSize: MAX_CONFIG_BYTES,
      fieldNameSize: 100,
      headerPairs: 20,
    },
  }).single("context");

  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A request whose connection has closed before anybody read it says nothing more, not even that it has broken off.
  const stop = () => reject(new FaasError("invalid", "build: the upload broke off"));
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let received = 0;
  // Multer reports an error only once it has read the whole body, which may never end.
  req.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received > maxBodyBytes) reject(tooLarge);
  });
  parse(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(asUploadError(error, tooLarge))));
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function asUploadError(error: unknown, tooLarge: FaasError): unknown {
  if (error instanceof multer.MulterError) {
    const part = error.field ?? "";
    if (error.code === "LIMIT_FILE_SIZE") return tooLarge;
    if (error.code === "LIMIT_FIELD_VALUE") return wrongPart(part, `is over ${MAX_CONFIG_BYTES} bytes`, "tooLarge");
    if (error.code === "LIMIT_UNEXPECTED_FILE" && part === "config") {
      return wrongPart(part, "must be a field with JSON, not a file");
    }
    if (error.code === "LIMIT_UNEXPECTED_FILE" && part !== "context") return wrongPart(part, "is not known");
    return wrongParts(error);
  }
  // A system error (a full disk, say) is ours; what else the parser throws is about the body it was given.
  const { syscall, message } = error as NodeJS.ErrnoException;
  if (syscall !== undefined) return error;
  return new FaasError("invalid", `build: the multipart body is malformed: ${message}`, { cause: error });
}
