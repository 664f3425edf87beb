import { isDigest } from "../oci/image-reference.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { RegistryFailure } from "./registry-failure.ts";

/** What a manifest needs, each as its digest. */
export interface References {
  /** As its header says, or the manifest itself. */
  readonly mediaType: string;
  /** Configuration and layers. */
  readonly blobs: readonly string[];
  /** Of an index. */
  readonly manifests: readonly string[];
}

/** Of each kind; images have at most some hundred layers. */
const MAX_REFERENCES = 5_000;
const MEDIA_TYPE = /^[\w.+-]{1,127}\/[\w.+-]{1,127}$/;

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads what a manifest refers to: of an image, an index or another artefact. Its other fields are its maker's.
 * @param contentType of the upload; its parameters do not count
 * @throws {RegistryFailure} `MANIFEST_INVALID` naming the field and the rule
 */
export function parseReferences(bytes: Uint8Array, contentType: string | undefined): References {
  const manifest = parse(bytes);
  const own = manifest.mediaType;
  if (own !== undefined && typeof own !== "string") throw invalid("mediaType must be text");
  const told = contentType?.split(";", 1)[0]?.trim() || undefined;
  if (told !== undefined && own !== undefined && told !== own) {
    throw invalid("mediaType must be what Content-Type says");
  }
  const mediaType = told ?? own ?? (manifest.manifests === undefined ? MEDIA_TYPES.manifest : MEDIA_TYPES.index);
  if (!MEDIA_TYPE.test(mediaType)) throw invalid("mediaType must be a media type");
  if (manifest.schemaVersion !== 2) throw invalid("schemaVersion must be 2");
  const config = manifest.config === undefined ? [] : [manifest.config];
  return {
    mediaType,
    blobs: digestsOf([...config, ...listOf(manifest.layers, "layers"), ...listOf(manifest.blobs, "blobs")], "layers"),
    manifests: digestsOf(listOf(manifest.manifests, "manifests"), "manifests"),
  };
}

function parse(bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid("it must be JSON");
  }
  if (!isObject(value)) throw invalid("it must be a JSON object");
  return value;
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${field} must be a list`);
  if (value.length > MAX_REFERENCES) throw invalid(`${field} must have at most ${MAX_REFERENCES} entries`);
  return value;
}

function digestsOf(descriptors: readonly unknown[], field: string): string[] {
  const digests = descriptors.flatMap((one) => {
    if (!isObject(one) || typeof one.digest !== "string" || !isDigest(one.digest)) {
      throw invalid(`${field}: each entry must have a sha256 digest`);
    }
    // Those that lie elsewhere need not be here.
    return Array.isArray(one.urls) && one.urls.length > 0 ? [] : [one.digest];
  });
  return [...new Set(digests)];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(rule: string): RegistryFailure {
  return new RegistryFailure("MANIFEST_INVALID", `the manifest is malformed: ${rule}`);
}
