import { typedProblems } from "./apply/typed.ts";
import { groupVersion, type Resource } from "./resources.ts";
import { DecodeError, decode } from "./schema/decode.ts";
import { ApiError, badRequest } from "./status.ts";
import { type Fields, isFields, type KubeObject, type ObjectKey, type ObjectMeta } from "./types.ts";

/** What becomes of fields that a kind does not have. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

/**
 * Reads a body that is to be written: right kind, right place, right types.
 * @param key where it is to go; its name is "" for a new object
 * @throws {ApiError} bad request
 */
export function readObject(
  resource: Resource,
  key: ObjectKey,
  body: Fields,
  validation: FieldValidation,
): { object: KubeObject; warnings: string[] } {
  const version = JSON.stringify(resource.version);
  const named = `${resource.kind} in version ${version} cannot be handled as a ${resource.kind}`;
  const kind = body.kind ?? (resource.custom ? undefined : resource.kind);
  const apiVersion = body.apiVersion ?? (resource.custom ? undefined : groupVersion(resource));
  if (kind === undefined) throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(body).slice(0, 200)}'`);
  if (kind !== resource.kind) {
    throw badRequest(
      `${kind} in version ${version} cannot be handled as a ${resource.kind}: no such kind is registered here`,
    );
  }
  if (apiVersion !== groupVersion(resource)) {
    const expected = groupVersion(resource);
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  const { value, unknown } = decodeBody(resource, { ...body, kind, apiVersion }, named);
  const told = unknown.map((path) => `unknown field "${path}"`);
  if (told.length > 0 && validation === "Strict")
    throw badRequest(`${named}: strict decoding error: ${told.join(", ")}`);
  const object = { metadata: {}, ...value } as unknown as KubeObject;
  return {
    object: { ...object, metadata: placed(resource, key, object.metadata) },
    warnings: validation === "Warn" ? told : [],
  };
}

/**
 * Reads what is to be applied. It is not changed: what it says, and not what follows from it, is owned.
 * @throws {ApiError} bad request; 500 for what does not fit the types, which is how the server answers
 */
export function readApplied(resource: Resource, { namespace, name }: ObjectKey, body: Fields): Fields {
  const expected = groupVersion(resource);
  if (body.apiVersion !== expected) {
    const specified = body.apiVersion ?? "";
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${specified}, expected: ${expected}`,
    );
  }
  if (body.kind !== resource.kind) throw badRequest(`the kind of what is applied must be ${resource.kind}`);
  const metadata = isFields(body.metadata) ? body.metadata : {};
  if (metadata.managedFields !== undefined && metadata.managedFields !== null) {
    throw badRequest("metadata.managedFields must be nil");
  }
  const problems = typedProblems(resource.type, body);
  if (problems.length > 0) {
    const subject = `${namespace === "" ? "" : `${namespace}/`}${name}; ${expected}, Kind=${resource.kind}`;
    const listed = problems.length === 1 ? problems[0] : `errors:\n${problems.map((text) => `  ${text}`).join("\n")}`;
    throw new ApiError(500, "", `failed to create typed patch object (${subject}): ${listed}`);
  }
  return body;
}

function decodeBody(resource: Resource, body: Fields, named: string): ReturnType<typeof decode> {
  try {
    return decode(resource.type, body);
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${named}: ${error.message}`);
    throw error;
  }
}

function placed(resource: Resource, key: ObjectKey, given: ObjectMeta): ObjectMeta {
  const { namespace, ...meta } = given;
  if (key.name !== "" && meta.name !== undefined && meta.name !== key.name) {
    throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${key.name})`);
  }
  if (!resource.namespaced) return { ...meta, name: meta.name ?? key.name };
  if (namespace !== undefined && namespace !== key.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  return { ...meta, name: meta.name ?? key.name, namespace: key.namespace };
}
