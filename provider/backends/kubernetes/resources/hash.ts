import { createHash } from "node:crypto";
import { ANNOTATIONS, sortKeys } from "./names.ts";

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, canonical(field)]),
  );
}

/** Short text that is the same for objects that mean the same, whatever the order of their keys. */
export function hashOf(object: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(canonical(object)))
    .digest("hex")
    .slice(0, 16);
}

interface Annotated {
  metadata?: { annotations?: Record<string, string> };
}

/** The object with an annotation that tells what it was made from. */
export function stamp<T extends Annotated>(object: T): T {
  const { metadata } = object;
  const annotations = sortKeys({ ...metadata?.annotations, [ANNOTATIONS.hash]: hashOf(object) });
  return { ...object, metadata: { ...metadata, annotations } };
}
