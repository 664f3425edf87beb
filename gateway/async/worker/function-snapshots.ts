import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { parseVersionedName } from "../../../contract/versions/version-name.ts";
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

interface Known {
  readonly snapshot: KnownFunction;
}

/** The part of a `FunctionTable` that this takes. */
export interface SnapshotTable {
  /** @property all it and the versions beside it */
  find(target: string): (Known & { readonly all?: readonly Known[] }) | undefined;
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** @param table kept current, in whichever process */
export function snapshotsOf(table: SnapshotTable): FunctionSnapshots {
  return {
    find(ref) {
      const found = table.find(qualifiedName(ref));
      if (!found) return undefined;
      const { annotations, maxInflight } = found.snapshot;
      // Its calls take turns whatever version they are for, and all its replicas take some.
      const readyReplicas = (found.all ?? [found]).reduce((sum, { snapshot }) => sum + announcedReplicas(snapshot), 0);
      return { annotations, readyReplicas, maxInflight };
    },
    onChange: (listener) =>
      table.onChange(({ name, namespace }) => listener({ name: parseVersionedName(name).name, namespace })),
  };
}
