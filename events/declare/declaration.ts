import { FaasError } from "../../contract/errors.ts";
import { type DeclaredKind, describeObject } from "../../contract/events/event-object.ts";
import type { EventResource, ResourceOrigin, ResourceStore } from "../store/resource-store.ts";

/** What somebody wants there to be under a name. */
export interface Declaration {
  readonly namespace: string;
  readonly name: string;
  readonly spec: unknown;
  /** What there is, which must not have changed meanwhile. */
  readonly before: EventResource | undefined;
  /** How many there are of the kind in its namespace; they are counted when absent. */
  readonly present?: number;
  /** Absent of what comes over the API. */
  readonly origin?: ResourceOrigin;
}

export type DeclaredName = Pick<Declaration, "namespace" | "name">;

/** Of one kind in a namespace. */
const MOST: Readonly<Record<DeclaredKind, number>> = {
  broker: 500,
  trigger: 1_000,
  source: 500,
  sink: 500,
  flow: 500,
};

/**
 * Stores a declaration that has been looked at.
 * @param spec as it is kept
 * @throws {FaasError} `unprocessable` when there are too many, `conflict` when it was changed meanwhile
 */
export async function storeDeclaration(
  resources: Pick<ResourceStore, "put" | "list">,
  kind: DeclaredKind,
  { namespace, name, before, present, origin }: Declaration,
  spec: unknown,
): Promise<EventResource> {
  if (!before && (present ?? (await resources.list(kind, namespace)).length) >= MOST[kind]) {
    throw new FaasError("unprocessable", `${kind}: a namespace has at most ${MOST[kind]} ${kind}s`);
  }
  const document = { kind, namespace, name, spec, ...(origin && { origin }) };
  return { ...document, version: await resources.put(document, before?.version ?? 0) };
}

/**
 * What an object of the cluster declares is changed there, and not over the API.
 * @throws {FaasError} `conflict`
 */
export function requireOwn(document: EventResource | undefined): void {
  if (!document?.origin) return;
  const { kind, namespace, name } = document;
  const object = describeObject({ kind: kind as DeclaredKind, namespace, name });
  throw new FaasError("conflict", `${kind} ${name} is declared by the Kubernetes object ${object}; change that`, {
    code: "declared_by_object",
  });
}
