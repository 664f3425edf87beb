import type { IncomingMessage, ServerResponse } from "node:http";
import { sendBlob } from "../answers.ts";
import type { Asked } from "../asked.ts";
import { type Operation, requireDigest, requireName } from "../operation.ts";
import { RegistryFailure } from "../registry-failure.ts";
import type { RegistryStore } from "../store.ts";
import { type Chunk, formatRange, type UploadState } from "../uploads.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** `GET`, `HEAD`, `DELETE` of a blob. */
export async function answerBlob(
  { repository, digest }: Of<"blob">,
  { req, res }: Asked,
  { blobs }: RegistryStore,
): Promise<void> {
  if (req.method === "DELETE") {
    blobs.remove(repository, digest);
    res.writeHead(202, { "Content-Length": 0 }).end();
    return;
  }
  await sendBlob(req, res, await blobs.open(repository, digest), digest);
}

/** `POST` of a new upload: with `mount` and `from` it may need none, with `digest` it is a whole one. */
export async function beginUpload(
  { repository }: Of<"uploads">,
  { req, res, query }: Asked,
  { blobs, uploads }: RegistryStore,
): Promise<void> {
  const [mount, from, digest] = [query.get("mount"), query.get("from"), query.get("digest")];
  if (mount !== null) requireDigest(mount);
  if (from !== null) requireName(from);
  if (digest !== null) requireDigest(digest);
  if (mount !== null && from !== null && blobs.mount(from, repository, mount)) {
    sendCreated(res, repository, mount);
    return;
  }
  const { id } = await uploads.begin(repository);
  if (digest === null) {
    sendState(res, 202, repository, { id, bytes: 0 });
    return;
  }
  try {
    await uploads.finish(repository, id, digest, chunkOf(req));
  } catch (error) {
    // Nobody has been told of it, so nobody goes on with it.
    await uploads.cancel(repository, id).catch(() => {});
    throw error;
  }
  sendCreated(res, repository, digest);
}

/** What is done with an upload that has begun. */
export async function answerUpload(
  { repository, id }: Of<"upload">,
  { req, res, query }: Asked,
  { uploads }: RegistryStore,
): Promise<void> {
  if (req.method === "GET") {
    sendState(res, 204, repository, uploads.state(repository, id));
    return;
  }
  if (req.method === "DELETE") {
    await uploads.cancel(repository, id);
    res.writeHead(204).end();
    return;
  }
  if (req.method === "PATCH") {
    sendState(res, 202, repository, await uploads.append(repository, id, chunkOf(req)));
    return;
  }
  const digest = query.get("digest");
  if (digest === null) throw new RegistryFailure("DIGEST_INVALID", "the query must name the digest");
  requireDigest(digest);
  await uploads.finish(repository, id, digest, chunkOf(req));
  sendCreated(res, repository, digest);
}

/** @throws {RegistryFailure} when `Content-Range` is malformed */
function chunkOf(req: IncomingMessage): Chunk {
  const { "content-range": range, "content-length": length } = req.headers;
  const [, first, last] = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/\S+)?$/.exec(range ?? "") ?? [];
  if (range !== undefined && (first === undefined || Number(last) < Number(first))) {
    throw new RegistryFailure("BLOB_UPLOAD_INVALID", "Content-Range must be such as 0-1023", { status: 416 });
  }
  const counted = length === undefined ? undefined : Number(length);
  if (range !== undefined && counted !== undefined && counted !== Number(last) - Number(first) + 1) {
    throw new RegistryFailure("SIZE_INVALID", "Content-Range must be as long as Content-Length says");
  }
  return {
    // An answer is owed to whom it is closed on.
    body: req.iterator({ destroyOnReturn: false }),
    from: first === undefined ? undefined : Number(first),
    length: counted,
  };
}

function sendCreated(res: ServerResponse, repository: string, digest: string): void {
  res
    .writeHead(201, {
      Location: `/v2/${repository}/blobs/${digest}`,
      "Docker-Content-Digest": digest,
      "Content-Length": 0,
    })
    .end();
}

function sendState(res: ServerResponse, status: 202 | 204, repository: string, { id, bytes }: UploadState): void {
  res
    .writeHead(status, {
      Location: `/v2/${repository}/blobs/uploads/${id}`,
      Range: formatRange(bytes),
      "Docker-Upload-UUID": id,
      ...(status === 202 && { "Content-Length": 0 }),
    })
    .end();
}
