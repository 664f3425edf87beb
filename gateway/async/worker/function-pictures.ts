import type { FunctionEndpoints } from "../../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import type { LimitPicture } from "../../core/call-limit.ts";
import type { Annotations } from "./policies.ts";

/** What the queue worker needs to know of a function. */
export interface FunctionPicture extends LimitPicture {
  readonly annotations: Annotations;
}

/** Where the queue worker looks functions up. */
export interface FunctionPictures {
  /** Undefined when no such function is known. Cheap: asked for each call. */
  find(ref: FunctionRef): FunctionPicture | undefined;
  /** @returns ends that */
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** The part of a `FunctionTable` that this takes. */
export interface PictureTable {
  find(target: string): { readonly picture: FunctionEndpoints } | undefined;
  onChange(listener: (ref: FunctionRef) => void): () => void;
}

/** @param table kept current by the provider's stream, in whichever process */
export function picturesOf(table: PictureTable): FunctionPictures {
  return {
    find(ref) {
      const picture = table.find(qualifiedName(ref))?.picture;
      if (!picture) return undefined;
      // As announced: a replica that this process avoids for a moment still counts.
      const readyReplicas = picture.endpoints.reduce((count, { state }) => count + (state === "ready" ? 1 : 0), 0);
      return { annotations: picture.annotations, readyReplicas, maxInflight: picture.maxInflight };
    },
    onChange: (listener) => table.onChange(listener),
  };
}
