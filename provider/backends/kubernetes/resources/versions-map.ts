import { gunzipSync, gzipSync } from "node:zlib";
import type { V1ConfigMap, V1OwnerReference } from "@kubernetes/client-node";
import { FaasError } from "../../../../contract/errors.ts";
import { type FunctionRef, isFunctionName, qualifiedName } from "../../../../contract/functions.ts";
import { decodeFunctionVersions, type FunctionVersions } from "../../../../contract/versions/function-versions.ts";
import { MANAGED_BY, VERSION_OF_LABEL } from "./names.ts";

/** Keys of the ConfigMap: text for people to read, or where that is long the same packed. */
const TEXT = "versions.json";
const PACKED = "versions.json.gz";
/** Longer texts are packed. */
const LONG_CHARS = 256 * 1024;
/** Less than the MiB that Kubernetes takes for all of one ConfigMap. */
export const MAX_VERSIONS_BYTES = 1_000_000;
/** Against a ConfigMap that somebody else has packed. */
const MAX_TEXT_BYTES = 64 * 1024 ** 2;

/** Of the ConfigMap with what is kept about a function's versions: has dots, which no function's own objects have. */
export function versionsMapName(name: string): string {
  return `${name}.versions.faaslane.com`;
}

/**
 * The ConfigMap with what is kept about a function's versions.
 * @throws {FaasError} `noSpace` when it does not fit into one
 */
export function buildVersionsMap(
  { name, namespace }: FunctionRef,
  versions: FunctionVersions,
  owner: V1OwnerReference | undefined,
): V1ConfigMap {
  const text = JSON.stringify(versions);
  const packed = text.length > LONG_CHARS ? gzipSync(text) : undefined;
  const bytes = packed?.length ?? Buffer.byteLength(text);
  if (bytes > MAX_VERSIONS_BYTES) {
    const what = `${versions.versions.length} versions of ${qualifiedName({ name, namespace })} take ${bytes} bytes`;
    throw new FaasError(
      "noSpace",
      `${what}, more than the ${MAX_VERSIONS_BYTES} that fit: keep fewer by com.faaslane.version-keep, or set less in the environment`,
    );
  }
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: versionsMapName(name),
      namespace,
      labels: {
        "app.kubernetes.io/component": "function-versions",
        [MANAGED_BY]: "faaslane",
        [VERSION_OF_LABEL]: name,
      },
      ...(owner && { ownerReferences: [owner] }),
    },
    ...(packed ? { binaryData: { [PACKED]: packed.toString("base64") } } : { data: { [TEXT]: text } }),
  };
}

/** The function whose versions a ConfigMap is about; undefined when it is about none. */
export function versionsMapOf({ metadata = {} }: Pick<V1ConfigMap, "metadata">): FunctionRef | undefined {
  const { name = "", namespace = "", labels = {} } = metadata;
  const of = labels[VERSION_OF_LABEL] ?? "";
  return isFunctionName(of) && versionsMapName(of) === name ? { name: of, namespace } : undefined;
}

/** @throws {FaasError} `conflict` when somebody has made something else of it */
export function readVersionsMap({ metadata, data, binaryData }: V1ConfigMap): FunctionVersions {
  try {
    const packed = binaryData?.[PACKED];
    const text =
      packed === undefined
        ? data?.[TEXT]
        : gunzipSync(Buffer.from(packed, "base64"), { maxOutputLength: MAX_TEXT_BYTES }).toString();
    if (text === undefined) throw new Error(`it has no ${TEXT}`);
    return decodeFunctionVersions(JSON.parse(text));
  } catch (cause) {
    const name = `${metadata?.namespace}/${metadata?.name}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FaasError("conflict", `ConfigMap ${name} does not hold versions; mend or delete it: ${why}`, { cause });
  }
}
