import { groupVersion, type Resource } from "../resources.ts";
import type { KubeObject } from "../types.ts";

/** How objects are written: whole, only their metadata (`Accept: …;as=PartialObjectMetadata`), or as rows of a table. */
export type Format = "object" | "metadata" | "table";

const METADATA = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" };

/** JSON text of objects, each made once however many watch them. */
export class Encoder {
  readonly #whole = new WeakMap<KubeObject, string>();
  readonly #items = new WeakMap<KubeObject, string>();
  readonly #metadata = new WeakMap<KubeObject, string>();

  object(resource: Resource, object: KubeObject, format: Format): string {
    if (format === "metadata") {
      return memo(this.#metadata, object, () => JSON.stringify({ ...METADATA, metadata: object.metadata }));
    }
    const apiVersion = groupVersion(resource);
    if (object.apiVersion !== apiVersion) return JSON.stringify(presented({ ...object, apiVersion }));
    return memo(this.#whole, object, () => JSON.stringify(presented(object)));
  }

  /** In a list of a built-in kind items do not repeat what they are. */
  item(resource: Resource, object: KubeObject, format: Format): string {
    if (format === "metadata" || resource.custom) return this.object(resource, object, format);
    return memo(this.#items, object, () => {
      const { kind: _kind, apiVersion: _version, ...rest } = presented(object);
      return JSON.stringify(rest);
    });
  }

  bookmark(resource: Resource, revision: number, format: Format, annotations?: Record<string, string>): string {
    const metadata = { resourceVersion: String(revision), ...(annotations !== undefined && { annotations }) };
    if (format === "metadata") return JSON.stringify({ ...METADATA, metadata });
    return JSON.stringify({ kind: resource.kind, apiVersion: groupVersion(resource), metadata, ...resource.shell });
  }

  listKind(resource: Resource, format: Format): { kind: string; apiVersion: string } {
    if (format === "metadata") return { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1" };
    return { kind: `${resource.kind}List`, apiVersion: groupVersion(resource) };
  }
}

function memo(cache: WeakMap<KubeObject, string>, object: KubeObject, make: () => string): string {
  let text = cache.get(object);
  if (text === undefined) {
    text = make();
    cache.set(object, text);
  }
  return text;
}

/** A slice without endpoints has null for them, as the real encoder leaves it. */
function presented(object: KubeObject): KubeObject {
  if (object.kind !== "EndpointSlice") return object;
  return { endpoints: null, ports: null, ...object };
}

/** @param tables whether a table can be given. @returns undefined when nothing that is accepted can be given */
export function negotiate(accept: string | undefined, tables: boolean): Format | undefined {
  const types = (accept ?? "*/*").split(",").map((type) => type.trim());
  for (const type of types) {
    if (/^application\/json\b.*;\s*as=PartialObjectMetadata(List)?\b/.test(type)) return "metadata";
    if (tables && /^application\/json\b.*;\s*as=Table\b/.test(type) && /\bv=v1\b/.test(type)) return "table";
    if (/;\s*as=/.test(type)) continue;
    if (/^(application\/json|application\/\*|\*\/\*)\b/.test(type) || type.startsWith("*/*")) return "object";
  }
  return undefined;
}
