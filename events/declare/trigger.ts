import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import type { EventStore } from "../store/event-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { OpenTriggers } from "../triggers/open-triggers.ts";
import { readTrigger } from "../triggers/read-trigger.ts";
import { type Declaration, type DeclaredName, storeDeclaration } from "./declaration.ts";

export interface TriggerDeclarationDeps {
  readonly events: Pick<EventStore, "drop">;
  readonly resources: Pick<ResourceStore, "put" | "remove" | "list">;
  readonly triggers: Pick<OpenTriggers, "refresh">;
  /** Reads JSONata without evaluating it. @throws {FaasError} `invalid`, naming `field` */
  readonly checkTransform: (expression: string, field: string) => Promise<void>;
}

/** Resolves once it counts. @throws {FaasError} `invalid`, naming the field and the rule */
export async function declareTrigger(deps: TriggerDeclarationDeps, declaration: Declaration): Promise<void> {
  const decoded = decodeTriggerSpec(declaration.spec);
  readTrigger(decoded, declaration);
  if (decoded.transform !== undefined) await deps.checkTransform(decoded.transform, "transform");
  await storeDeclaration(deps.resources, "trigger", declaration, declaration.spec);
  await deps.triggers.refresh();
}

/** What is still to be delivered to it is dropped. @returns whether it was there */
export async function removeTrigger(deps: TriggerDeclarationDeps, { namespace, name }: DeclaredName): Promise<boolean> {
  if (!(await deps.resources.remove({ kind: "trigger", namespace, name }))) return false;
  await deps.triggers.refresh();
  await deps.events.drop(declaredTriggerId(namespace, name), "its trigger was removed");
  return true;
}

export function declaredTriggerId(namespace: string, name: string): string {
  return `trigger/${namespace}/${name}`;
}
