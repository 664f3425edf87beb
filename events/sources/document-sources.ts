import { toFaasError } from "../../contract/errors.ts";
import { decodeSourceSpec } from "../../contract/events/source-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { FollowedDocuments } from "../store/followed-documents.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import type { DeclaredSource, SourceSet } from "./declared-source.ts";

/** Sources that are declared by documents. */
export class DocumentSources implements SourceSet {
  readonly ready: Promise<void>;
  readonly #documents: FollowedDocuments;

  constructor(resources: Pick<ResourceStore, "list" | "watch">, log: Pick<Logger, "warn">) {
    this.#documents = new FollowedDocuments(resources, "source", log);
    this.ready = this.#documents.ready;
  }

  get all(): readonly DeclaredSource[] {
    return this.#documents.all.map(readDocument);
  }

  onChange(listener: () => void): () => void {
    return this.#documents.onChange(listener);
  }

  close(): void {
    this.#documents.close();
  }
}

/** A document as a source; one that cannot be read, as an older or newer program may have written it, says why. */
export function readDocument({ namespace, name, spec }: EventResource): DeclaredSource {
  const id = documentId(namespace, name);
  try {
    return { id, namespace, name, ...decodeSourceSpec(spec) };
  } catch (error) {
    const nothing = { type: "", broker: "", suspend: false, attributes: {}, settings: {} };
    return { id, namespace, name, ...nothing, problem: toFaasError(error).message };
  }
}

export function documentId(namespace: string, name: string): string {
  return `source/${namespace}/${name}`;
}
