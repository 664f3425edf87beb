import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { readAtMost } from "../../oci/answer-body.ts";
import { isDigest } from "../../oci/image-reference.ts";
import type { Asked } from "../asked.ts";
import type { Operation } from "../operation.ts";
import { parseReferences } from "../references.ts";
import { RegistryFailure } from "../registry-failure.ts";
import type { RegistryStore } from "../store.ts";

/** As registries have to take them. */
const MAX_BYTES = 4 * 1024 ** 2;

/** `GET`, `HEAD`, `PUT`, `DELETE` of a manifest, by tag or digest. */
export async function answerManifest(
  { repository, reference }: Extract<Operation, { kind: "manifest" }>,
  { req, res }: Asked,
  { manifests }: RegistryStore,
): Promise<void> {
  if (req.method === "DELETE") {
    await manifests.remove(repository, reference);
    res.writeHead(202, { "Content-Length": 0 }).end();
    return;
  }
  if (req.method === "PUT") {
    const bytes = await readManifest(req);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    if (isDigest(reference) && reference !== digest) {
      throw new RegistryFailure("DIGEST_INVALID", "the manifest has another digest");
    }
    const references = parseReferences(bytes, req.headers["content-type"]);
    const tag = isDigest(reference) ? undefined : reference;
    await manifests.write({ repository, bytes, digest, tag, references });
    res
      .writeHead(201, {
        Location: `/v2/${repository}/manifests/${digest}`,
        "Docker-Content-Digest": digest,
        "Content-Length": 0,
      })
      .end();
    return;
  }
  const { bytes, mediaType, digest } = await manifests.read(repository, reference);
  res.writeHead(200, {
    "Content-Type": mediaType,
    "Content-Length": bytes.length,
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
  });
  res.end(req.method === "HEAD" ? undefined : bytes);
}

async function readManifest(req: IncomingMessage): Promise<Buffer> {
  const tooLarge = new RegistryFailure("MANIFEST_INVALID", `a manifest may have at most ${MAX_BYTES} bytes`, {
    status: 413,
  });
  if (Number(req.headers["content-length"] ?? 0) > MAX_BYTES) throw tooLarge;
  try {
    return await readAtMost(req.iterator({ destroyOnReturn: false }), MAX_BYTES, "a manifest");
  } catch (cause) {
    if (req.errored) throw new RegistryFailure("MANIFEST_INVALID", "the upload broke off", { cause });
    throw tooLarge;
  }
}
