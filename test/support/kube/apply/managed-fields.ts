import { isDeepStrictEqual } from "node:util";
import type { FieldProblem } from "../status.ts";
import { ApiError } from "../status.ts";
import type { ManagedFieldsEntry } from "../types.ts";
import {
  type FieldPath,
  formatPath,
  fromFieldsV1,
  isBeneath,
  isKeyOfItem,
  type Leaves,
  toFieldsV1,
} from "./field-set.ts";

/** Who writes, and how. */
export interface Writer {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** "" is the object itself. */
  readonly subresource: string;
}

interface Ownership {
  readonly writer: Writer;
  readonly time: string;
  readonly paths: ReadonlySet<FieldPath>;
}

type Entries = readonly ManagedFieldsEntry[];

function read(entries: Entries): Ownership[] {
  return entries.map(({ manager, operation, apiVersion, subresource = "", time, fieldsV1 }) => ({
    writer: { manager, operation, apiVersion, subresource },
    time,
    paths: fromFieldsV1(fieldsV1),
  }));
}

function write(owners: readonly Ownership[]): ManagedFieldsEntry[] {
  return owners
    .filter(({ paths }) => paths.size > 0)
    .map(({ writer: { manager, operation, apiVersion, subresource }, time, paths }) => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: "FieldsV1" as const,
      fieldsV1: toFieldsV1(paths),
      ...(subresource !== "" && { subresource }),
    }));
}

function isSame(a: Writer, b: Writer): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;
}

function minus(paths: ReadonlySet<FieldPath>, taken: ReadonlySet<FieldPath>): Set<FieldPath> {
  return new Set([...paths].filter((path) => !taken.has(path)));
}

/** Whether an entry says who owns what in a way that the server can read. */
function isReadable({ operation, fieldsType, fieldsV1 }: Partial<ManagedFieldsEntry>): boolean {
  return (operation === "Apply" || operation === "Update") && fieldsType === "FieldsV1" && fieldsV1 !== undefined;
}

/**
 * Who owns what as a client that updates or patches an object says: a list of one empty entry strips all ownership, a
 * readable list replaces it, and anything else, an empty list too, leaves what there is.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
 */
export function ownedAsGiven(live: Entries, given: readonly Partial<ManagedFieldsEntry>[] | undefined): Entries {
  if (given === undefined || given.length === 0 || isDeepStrictEqual(given, live)) return live;
  const [first] = given;
  if (given.length === 1 && first !== undefined && Object.keys(first).length === 0) return [];
  return given.every(isReadable) ? write(read(given as Entries)) : live;
}

/** Ownership of an object that nobody owns anything of, before the first apply to it. */
export function ownedBeforeFirstApply({ apiVersion }: Writer, live: Leaves, time: string): Entries {
  const writer: Writer = { manager: "before-first-apply", operation: "Update", apiVersion, subresource: "" };
  return write([{ writer, time, paths: new Set(live.keys()) }]);
}

/** Paths whose values differ. */
function changes(before: Leaves, after: Leaves): { set: Set<FieldPath>; removed: Set<FieldPath> } {
  const set = new Set([...after].filter(([path, value]) => before.get(path) !== value).map(([path]) => path));
  const removed = new Set([...before.keys()].filter((path) => !after.has(path)));
  return { set, removed };
}

/** Ownership after a create, update or patch: who changes a field owns it alone. */
export function ownedAfterUpdate(
  entries: Entries,
  writer: Writer,
  before: Leaves,
  after: Leaves,
  time: string,
): Entries {
  const { set, removed } = changes(before, after);
  if (set.size === 0 && removed.size === 0) return entries;
  const taken = new Set([...set, ...removed]);
  const owners = read(entries);
  const own = owners.find((owner) => isSame(owner.writer, writer));
  const others = owners
    .filter((owner) => owner !== own)
    .map((owner) => ({ ...owner, paths: minus(owner.paths, taken) }));
  const paths = new Set([...minus(own?.paths ?? new Set(), removed), ...set]);
  return write([...others, { writer, time: set.size > 0 ? time : (own?.time ?? time), paths }]);
}

export interface Applied {
  readonly entries: Entries;
  /** What the manager no longer sets and nobody else owns, innermost first. */
  readonly removed: readonly FieldPath[];
}

/**
 * Ownership after a server-side apply.
 * @param configured paths of what is applied
 * @param before of the live object
 * @param merged of the live object with what is applied laid over it
 * @throws {ApiError} conflict when that changes what others own, unless forced
 */
export function ownedAfterApply(
  entries: Entries,
  writer: Writer,
  { configured, before, merged }: { configured: Leaves; before: Leaves; merged: Leaves },
  { force, time }: { force: boolean; time: string },
): Applied {
  const owners = read(entries);
  const own = owners.find((owner) => isSame(owner.writer, writer));
  const { set } = changes(before, merged);
  const others = owners.filter((owner) => owner !== own);
  const conflicts = others.flatMap(({ writer: other, paths }) =>
    [...paths].filter((path) => set.has(path)).map((path) => ({ other, path })),
  );
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const lost = new Set(conflicts.map(({ path }) => path));
  const left = others.map((owner) => ({ ...owner, paths: minus(owner.paths, lost) }));
  const paths = new Set(configured.keys());
  const unchanged =
    own !== undefined && own.paths.size === paths.size && [...paths].every((path) => own.paths.has(path));
  const mine = { writer, time: unchanged ? own.time : time, paths };
  const elsewhere = [...left, mine].flatMap((owner) => [...owner.paths]);
  const owned = new Set(elsewhere);
  const given = [...(own?.paths ?? [])].filter(
    // An item, or what was an empty object, stays with what is owned within.
    (path) => !owned.has(path) && !elsewhere.some((other) => isBeneath(other, path)),
  );
  // What tells an item apart goes with the item only.
  const removed = given.filter((path) => !isKeyOfItem(path)).sort((a, b) => b.length - a.length);
  return { entries: write([...left, mine]), removed };
}

function conflictError(conflicts: readonly { other: Writer; path: FieldPath }[]): ApiError {
  const causes: FieldProblem[] = conflicts.map(({ other, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with "${other.manager}"${other.subresource === "" ? "" : ` with subresource "${other.subresource}"`} using ${other.apiVersion}`,
    field: formatPath(path),
  }));
  const byManager = Map.groupBy(causes, ({ message }) => message);
  const lines = [...byManager].map(([message, fields]) =>
    fields.length === 1
      ? `${message}: ${fields[0]?.field}`
      : `${message.replace("conflict", "conflicts")}:\n${fields.map(({ field }) => `- ${field}`).join("\n")}`,
  );
  const count = `${causes.length} conflict${causes.length === 1 ? "" : "s"}`;
  return new ApiError(409, "Conflict", `Apply failed with ${count}: ${lines.join("\n")}`, { causes });
}
