import { createHash } from "node:crypto";
import type { V1ObjectMeta } from "@kubernetes/client-node";
import { isFunctionName } from "../../../../contract/functions.ts";
import { stripEnd } from "../../../../contract/strip-end.ts";
import { isVersion, parseVersionedName, versionedName } from "../../../../contract/versions/version-name.ts";
import { FUNCTION_LABEL, VERSION_LABEL, VERSION_OF_LABEL, versionMarks } from "./names.ts";

const MAX_NAME = 63;
const HASH_CHARS = 8;

/** Whether it names a function, or as `NAME@vN` one of its versions. */
export function isUnitName(text: string): boolean {
  const { name, version } = parseVersionedName(text);
  return isFunctionName(name) && (version === undefined || isVersion(version));
}

export function isVersionUnit(text: string): boolean {
  return parseVersionedName(text).version !== undefined;
}

/**
 * What the Deployment of a function is called, and its pods are labelled: like the function. That of `NAME@vN` has a name
 * beside it that is a DNS label too, the same each time, and no other's: the hash keeps it apart from functions that are called
 * like a version, and from those whose names begin alike.
 */
export function objectName(unit: string): string {
  const { name, version } = parseVersionedName(unit);
  if (version === undefined) return unit;
  const hash = createHash("sha256").update(unit).digest("hex").slice(0, HASH_CHARS);
  const suffix = `-${version}-${hash}`;
  return stripEnd(name.slice(0, MAX_NAME - suffix.length), "-") + suffix;
}

type Labels = Readonly<Record<string, string>>;

/** What the labels say that they are of, if `own` is what it has to be for that. */
function versionIn(labels: Labels, own: string | undefined): string | undefined {
  const { [VERSION_OF_LABEL]: name, [VERSION_LABEL]: version } = labels;
  if (name === undefined || version === undefined) return undefined;
  const unit = versionedName(name, version);
  // A function of another provider may have any labels.
  return isUnitName(unit) && objectName(unit) === own ? unit : undefined;
}

/** The function, or `NAME@vN`, whose Deployment it is; the object's name for what is none. */
export function unitOfDeployment({ name = "", labels = {} }: V1ObjectMeta): string {
  return versionIn(labels, name) ?? name;
}

/** The function, or `NAME@vN`, whose pod it is; "" for what is none. */
export function unitOfPod({ labels = {} }: V1ObjectMeta): string {
  return versionIn(labels, labels[FUNCTION_LABEL]) ?? labels[FUNCTION_LABEL] ?? "";
}

/** Labels of the pods of a function or version, besides those that it was deployed with. */
export function podMarks(unit: string): Record<string, string> {
  const { name, version } = parseVersionedName(unit);
  return { [FUNCTION_LABEL]: objectName(unit), ...(version !== undefined && versionMarks(name, version)) };
}
