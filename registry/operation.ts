import { isDigest, isImageTag, isRepositoryName } from "../oci/image-reference.ts";
import { RegistryFailure } from "./registry-failure.ts";

/** What a request is about, by its path. */
export type Operation =
  | { readonly kind: "ping" }
  | { readonly kind: "catalog" }
  | { readonly kind: "tags"; readonly repository: string }
  /** `reference` is a tag or a digest. */
  | { readonly kind: "manifest"; readonly repository: string; readonly reference: string }
  | { readonly kind: "blob"; readonly repository: string; readonly digest: string }
  /** Uploads that are begun. */
  | { readonly kind: "uploads"; readonly repository: string }
  /** One that has begun. */
  | { readonly kind: "upload"; readonly repository: string; readonly id: string };

/** No path that means anything is longer. */
const MAX_PATH = 600;
const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Each marks what comes behind a repository's name; the last one of a path counts, as names may hold the words too. */
const MARKS = ["/blobs/uploads/", "/blobs/", "/manifests/", "/tags/"] as const;

/**
 * Reads the path of a request.
 * @param path without its query, as it was sent
 * @returns undefined for what is no path of the distribution API
 * @throws {RegistryFailure} naming the part that is malformed
 */
export function parseOperation(path: string): Operation | undefined {
  if (path === "/v2/" || path === "/v2") return { kind: "ping" };
  if (!path.startsWith("/v2/") || path.length > MAX_PATH) return undefined;
  const decoded = decode(path);
  if (decoded === "/v2/_catalog") return { kind: "catalog" };
  const whole = decoded.endsWith("/blobs/uploads") ? `${decoded}/` : decoded;
  const found = MARKS.map((mark) => ({ mark, at: whole.lastIndexOf(mark) }))
    .filter(({ at }) => at > 0)
    .toSorted((a, b) => b.at + b.mark.length - (a.at + a.mark.length))[0];
  if (!found) return undefined;
  const repository = whole.slice("/v2/".length, found.at);
  const rest = whole.slice(found.at + found.mark.length);
  requireName(repository);
  switch (found.mark) {
    case "/tags/":
      return rest === "list" ? { kind: "tags", repository } : undefined;
    case "/manifests/":
      if (!isImageTag(rest) && !isDigest(rest)) throw noReference(rest);
      return { kind: "manifest", repository, reference: rest };
    case "/blobs/":
      requireDigest(rest);
      return { kind: "blob", repository, digest: rest };
    case "/blobs/uploads/":
      if (rest === "") return { kind: "uploads", repository };
      if (!UPLOAD_ID.test(rest)) throw new RegistryFailure("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
      return { kind: "upload", repository, id: rest };
  }
}

/** @throws {RegistryFailure} */
export function requireName(text: string): void {
  if (isRepositoryName(text)) return;
  throw new RegistryFailure(
    "NAME_INVALID",
    "the name must be at most 255 lower-case letters and digits, with ., _ or - between them, parted by /",
  );
}

/** @throws {RegistryFailure} */
export function requireDigest(text: string): void {
  if (isDigest(text)) return;
  throw new RegistryFailure("DIGEST_INVALID", "the digest must be sha256: and 64 hexadecimal digits");
}

function noReference(text: string): RegistryFailure {
  if (text.includes(":")) return new RegistryFailure("DIGEST_INVALID", "the digest must be sha256: and 64 hex digits");
  return new RegistryFailure("MANIFEST_INVALID", "the tag must be at most 128 letters, digits, _, - and .");
}

function decode(path: string): string {
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryFailure("NAME_INVALID", "the path is not encoded as URLs are");
  }
}
