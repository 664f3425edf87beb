import { toFaasError } from "../../contract/errors.ts";
import { decodeBrokerSpec } from "../../contract/events/broker-spec.ts";
import { decodeFlowSpec } from "../../contract/events/flow-spec.ts";
import { decodeSinkSpec } from "../../contract/events/sink-spec.ts";
import { decodeSourceSpec } from "../../contract/events/source-spec.ts";
import { decodeTriggerSpec } from "../../contract/events/trigger-spec.ts";
import { CliError } from "../errors.ts";
import type { StackResource, StackResourceKind } from "./types.ts";

const CHECKS: Readonly<Record<StackResourceKind, (spec: unknown) => unknown>> = {
  broker: decodeBrokerSpec,
  sink: decodeSinkSpec,
  trigger: (spec) => decodeTriggerSpec(spec),
  flow: (spec) => decodeFlowSpec(spec),
  source: decodeSourceSpec,
};

/**
 * Says what the gateway would say of what a stack file declares, but where it stands in the file. A module of its own: most stack
 * files declare nothing, and the schemas take longer to load than those to read.
 * @throws {CliError} beginning with `file:line:column`
 */
export function checkResources(resources: readonly StackResource[]): void {
  for (const { kind, name, spec, place, places } of resources) {
    try {
      CHECKS[kind](spec);
    } catch (error) {
      const rule = toFaasError(error).message.replace(`${kind}: `, "");
      const field = /^(\w+)/.exec(rule)?.[1] ?? "";
      const where = Object.hasOwn(places, field) ? places[field] : place;
      throw new CliError(`${where}: ${kind}s.${name}: ${rule}`, { cause: error });
    }
  }
}
