import { decodeSinkSpec, encodeSinkSpec } from "../../contract/events/sink-spec.ts";
import { checkSinkSettings, type SinkTypes } from "../sinks/sink-types.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import { type Declaration, storeDeclaration } from "./declaration.ts";

export interface SinkDeclarationDeps {
  readonly resources: Pick<ResourceStore, "put" | "list">;
  readonly sinkTypes: SinkTypes;
}

/** @throws {FaasError} `invalid`, naming the field and the rule */
export async function declareSink(deps: SinkDeclarationDeps, declaration: Declaration): Promise<EventResource> {
  const spec = decodeSinkSpec(declaration.spec);
  await checkSinkSettings(deps.sinkTypes, spec);
  return await storeDeclaration(deps.resources, "sink", declaration, encodeSinkSpec(spec));
}
