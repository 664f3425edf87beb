import { decodeBrokerSpec } from "../../contract/events/broker-spec.ts";
import type { KnownBrokers } from "../brokers/known-brokers.ts";
import type { EventStore } from "../store/event-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { type Declaration, type DeclaredName, storeDeclaration } from "./declaration.ts";

export interface BrokerDeclarationDeps {
  readonly events: Pick<EventStore, "stats" | "drop">;
  readonly resources: Pick<ResourceStore, "put" | "remove" | "list">;
  readonly brokers: Pick<KnownBrokers, "refresh">;
}

/** Resolves once it counts. @throws {FaasError} `invalid`, naming the field and the rule */
export async function declareBroker(deps: BrokerDeclarationDeps, declaration: Declaration): Promise<void> {
  decodeBrokerSpec(declaration.spec);
  await storeDeclaration(deps.resources, "broker", declaration, declaration.spec);
  await deps.brokers.refresh();
}

/** What is still to be delivered of its events is dropped. */
export async function removeBroker(deps: BrokerDeclarationDeps, address: DeclaredName): Promise<boolean> {
  const { namespace, name } = address;
  const all = await deps.events.stats(namespace);
  const stats = all.find(({ broker }) => broker.namespace === namespace && broker.name === name);
  const removed = await deps.resources.remove({ kind: "broker", namespace, name });
  await deps.brokers.refresh();
  for (const trigger of Object.keys(stats?.open ?? {})) await deps.events.drop(trigger, "its broker was removed");
  return removed;
}
