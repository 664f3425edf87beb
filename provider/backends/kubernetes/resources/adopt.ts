import type { V1ManagedFieldsEntry, V1ObjectMeta } from "@kubernetes/client-node";
import { ANNOTATIONS, FIELD_MANAGER } from "./names.ts";

/**
 * Programs that made functions before us, as they name themselves to the API server; the last one is who it names when
 * an object comes without any ownership, as from a backup.
 */
const PREDECESSORS: ReadonlySet<string> = new Set([
  "faas-netes",
  "openfaas-operator",
  "operator",
  "before-first-apply",
]);

/** People who have made a function by hand or changed it. */
const BY_HAND: ReadonlySet<string> = new Set([
  "kubectl",
  "kubectl-client-side-apply",
  "kubectl-create",
  "kubectl-edit",
  "kubectl-patch",
  "kubectl-replace",
  "kubectl-set",
]);

type Fields = Readonly<Record<string, unknown>>;

interface Split {
  /** What becomes ours; undefined when that is nothing. */
  readonly taken: Fields | undefined;
  /** What stays with its owner; undefined when that is nothing. */
  readonly left: V1ManagedFieldsEntry | undefined;
}

function union(a: Fields, b: Fields): Fields {
  const merged: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    merged[key] = key in merged ? union(merged[key] as Fields, value as Fields) : value;
  }
  return merged;
}

/** Whether an entry owns our mark: who restored an object from a backup, then, as nobody else would write it. */
function ownsHash({ fieldsV1 = {} }: V1ManagedFieldsEntry): boolean {
  const { "f:metadata": metadata } = fieldsV1 as Readonly<Record<string, Readonly<Record<string, Fields>>>>;
  return metadata?.["f:annotations"]?.[`f:${ANNOTATIONS.hash}`] !== undefined;
}

function split(entry: V1ManagedFieldsEntry): Split {
  const { manager = "", operation, subresource, fieldsV1 = {} } = entry;
  const nothing: Split = { taken: undefined, left: entry };
  if (operation !== "Update" || subresource) return nothing;
  if (PREDECESSORS.has(manager) || ownsHash(entry)) return { taken: fieldsV1, left: undefined };
  // Their own labels and annotations of the object stay; its spec is the function, which a deploy replaces.
  const { "f:spec": spec, ...rest } = fieldsV1 as Fields;
  if (!BY_HAND.has(manager) || spec === undefined) return nothing;
  const left = Object.keys(rest).length > 0 ? { ...entry, fieldsV1: rest } : undefined;
  return { taken: { "f:spec": spec }, left };
}

/**
 * Field ownership as if we had applied what our predecessors wrote, so that our first apply also takes away what the
 * definition no longer has; otherwise such fields would be nobody's and stay for ever. Undefined when there is nothing
 * to take over, and for objects that we have applied already and that were not restored from a backup since.
 */
export function adoptFields({ managedFields = [], annotations }: V1ObjectMeta): V1ManagedFieldsEntry[] | undefined {
  const isOurs = ({ manager, operation }: V1ManagedFieldsEntry) => manager === FIELD_MANAGER && operation === "Apply";
  if (annotations?.[ANNOTATIONS.hash] !== undefined && managedFields.some(isOurs)) return undefined;
  const splits = managedFields.filter((entry) => !isOurs(entry)).map((entry) => ({ entry, ...split(entry) }));
  const first = splits.find((one) => one.taken)?.entry;
  if (!first) return undefined;
  const ours = managedFields.filter(isOurs).map(({ fieldsV1 }) => (fieldsV1 ?? {}) as Fields);
  const taken = splits.flatMap((one): Fields[] => (one.taken ? [one.taken] : []));
  const fieldsV1 = [...ours, ...taken].reduce<Fields>(union, {});
  const others = splits.flatMap(({ left }) => left ?? []);
  return [{ ...first, manager: FIELD_MANAGER, operation: "Apply", fieldsV1 }, ...others];
}
