import type { V1ManagedFieldsEntry, V1ObjectMeta } from "@kubernetes/client-node";
import { FIELD_MANAGER } from "./names.ts";

/** Programs that made functions before us, as they name themselves to the API server. */
const PREDECESSORS: ReadonlySet<string> = new Set(["faas-netes", "openfaas-operator", "operator"]);

type Fields = Readonly<Record<string, unknown>>;

function union(a: Fields, b: Fields): Fields {
  const merged: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    merged[key] = key in merged ? union(merged[key] as Fields, value as Fields) : value;
  }
  return merged;
}

const isPredecessor = ({ manager = "", operation, subresource }: V1ManagedFieldsEntry) =>
  operation === "Update" && !subresource && PREDECESSORS.has(manager);

/**
 * Field ownership as if we had applied what our predecessor created, so that our first apply also takes away what the
 * definition no longer has; otherwise such fields would be nobody's and stay for ever. Undefined when there is nothing
 * to take over.
 */
export function adoptFields({ managedFields = [] }: V1ObjectMeta): V1ManagedFieldsEntry[] | undefined {
  const theirs = managedFields.filter(isPredecessor);
  const first = theirs[0];
  if (!first) return undefined;
  const isOurs = ({ manager, operation }: V1ManagedFieldsEntry) => manager === FIELD_MANAGER && operation === "Apply";
  const ours = managedFields.filter(isOurs);
  const fieldsV1 = [...ours, ...theirs].map((entry) => (entry.fieldsV1 ?? {}) as Fields).reduce(union, {});
  const others = managedFields.filter((entry) => !isPredecessor(entry) && !isOurs(entry));
  return [{ ...first, manager: FIELD_MANAGER, operation: "Apply", fieldsV1 }, ...others];
}
