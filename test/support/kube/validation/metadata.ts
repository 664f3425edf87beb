import type { Problems } from "../problems.ts";
import type { Resource } from "../resources.ts";
import type { ObjectMeta, StringMap } from "../types.ts";
import { dns1035Label, dns1123Label, dns1123Subdomain, labelValue, qualifiedName } from "./names.ts";

const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;

const NAME_RULES: Readonly<Record<string, (name: string) => string[]>> = {
  namespaces: dns1123Label,
  services: dns1035Label,
};

export function validateMetadata(resource: Resource, meta: ObjectMeta, problems: Problems): void {
  if (meta.name === "") problems.required("metadata.name", "name or generateName is required");
  else {
    for (const why of (NAME_RULES[resource.key] ?? dns1123Subdomain)(meta.name)) {
      problems.invalid("metadata.name", meta.name, why);
    }
  }
  validateLabels(meta.labels, "metadata.labels", problems);
  validateAnnotations(meta.annotations, "metadata.annotations", problems);
  for (const finalizer of meta.finalizers ?? []) {
    for (const why of qualifiedName(finalizer)) problems.invalid("metadata.finalizers", finalizer, why);
    if (!finalizer.includes("/") && !["foregroundDeletion", "orphan"].includes(finalizer)) {
      problems.invalid(
        "metadata.finalizers",
        finalizer,
        "name is neither a standard finalizer name nor is it fully qualified",
      );
    }
  }
  for (const [index, owner] of (meta.ownerReferences ?? []).entries()) {
    for (const field of ["apiVersion", "kind", "name", "uid"] as const) {
      if (!owner[field])
        problems.invalid(`metadata.ownerReferences[${index}].${field}`, owner[field] ?? "", "must not be empty");
    }
  }
  if ((meta.ownerReferences ?? []).filter(({ controller }) => controller === true).length > 1) {
    problems.invalid(
      "metadata.ownerReferences",
      meta.ownerReferences,
      "Only one reference can have Controller set to true",
    );
  }
}

export function validateLabels(labels: StringMap | undefined, field: string, problems: Problems): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const why of qualifiedName(key)) problems.invalid(field, key, why);
    for (const why of labelValue(value)) problems.invalid(field, value, why);
  }
}

export function validateAnnotations(annotations: StringMap | undefined, field: string, problems: Problems): void {
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    size += key.length + Buffer.byteLength(value);
    // Annotation keys may be in capitals.
    for (const why of qualifiedName(key.toLowerCase())) problems.invalid(field, key, why);
  }
  if (size > ANNOTATIONS_LIMIT_BYTES) problems.tooLong(field, ANNOTATIONS_LIMIT_BYTES);
}
