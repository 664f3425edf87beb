import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import type { LimitSnapshot } from "../../core/call-limit.ts";
import { announcedReplicas, type KnownFunction } from "../../core/known-function.ts";
import type { Annotations } from "./policies.ts";

/** What the queue worker needs to know of a function. */
export interface FunctionSnapshot extends LimitSnapshot {
  readonly annotations: Annotations;
}

/** Where the queue worker looks functions up. */
export interface FunctionSnapshots {
  /** Undefined when no such function is known. Cheap: asked for each call. */
  find(ref: FunctionRef): FunctionSnapshot | undefined;
  /** @returns ends that */
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** The part of a `FunctionTable` that this takes. */
export interface SnapshotTable {
  find(target: string): { readonly snapshot: KnownFunction } | undefined;
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** @param table kept current, in whichever process */
export function snapshotsOf(table: SnapshotTable): FunctionSnapshots {
  return {
    find(ref) {
      const snapshot = table.find(qualifiedName(ref))?.snapshot;
      if (!snapshot) return undefined;
      const { annotations, maxInflight } = snapshot;
      return { annotations, readyReplicas: announcedReplicas(snapshot), maxInflight };
    },
    onChange: (listener) => table.onChange(listener),
  };
}
