import type { SourceSpec } from "../../contract/events/source-spec.ts";

/** A source that somebody wants to run. */
export interface DeclaredSource extends SourceSpec {
  /** `source/NAMESPACE/NAME`, or `function/NAMESPACE/NAME` of one that a function's annotations declare. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Why it cannot be run as it is declared. */
  readonly problem?: string;
}

/** Sources from one place: documents, annotations. */
export interface SourceSet {
  readonly all: readonly DeclaredSource[];
  /** Resolves once `all` is all; absent where nothing receives requests, which are what waits for it. */
  readonly ready?: Promise<void>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}
