import { decodeSourceSpec, encodeSourceSpec, type SourceSpec } from "../../contract/events/source-spec.ts";
import { documentId, readDocument } from "../sources/document-sources.ts";
import { removeCursor } from "../sources/source-cursor.ts";
import { checkSettings } from "../sources/source-settings.ts";
import { removeStatus } from "../sources/source-statuses.ts";
import { requireDeclarable, type SourceTypes } from "../sources/source-types.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import { type Declaration, type DeclaredName, storeDeclaration } from "./declaration.ts";

export interface SourceDeclarationDeps {
  readonly resources: Pick<ResourceStore, "get" | "put" | "remove" | "list">;
  readonly types: SourceTypes;
}

/** @throws {FaasError} `invalid`, naming the field and the rule */
export async function declareSource(deps: SourceDeclarationDeps, declaration: Declaration): Promise<EventResource> {
  const { namespace, name, before } = declaration;
  const spec = decodeSourceSpec(declaration.spec);
  requireDeclarable(deps.types, spec.type);
  await checkSettings(deps.types, spec);
  // How far it has come means nothing to a source of another type.
  if (before && readDocument(before).type !== spec.type)
    await removeCursor(deps.resources, documentId(namespace, name));
  return await storeSource(deps, declaration, spec);
}

/** One whose settings have been looked at before. */
export async function storeSource(
  { resources }: Pick<SourceDeclarationDeps, "resources">,
  declaration: Declaration,
  spec: SourceSpec,
): Promise<EventResource> {
  return await storeDeclaration(resources, "source", declaration, encodeSourceSpec(spec));
}

/** How far it has come is forgotten. @returns whether it was there */
export async function removeSource(
  { resources }: Pick<SourceDeclarationDeps, "resources">,
  { namespace, name }: DeclaredName,
): Promise<boolean> {
  if (!(await resources.remove({ kind: "source", namespace, name }))) return false;
  const id = documentId(namespace, name);
  await removeCursor(resources, id);
  await removeStatus(resources, id);
  return true;
}
