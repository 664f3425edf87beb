import { decodeSinkSpec, encodeSinkSpec } from "../../../contract/events/sink-spec.ts";
import { decodeSourceSpec, encodeSourceSpec } from "../../../contract/events/source-spec.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { declareBroker, removeBroker } from "../../../events/declare/broker.ts";
import { declareFlow, removeFlow } from "../../../events/declare/flow.ts";
import { declareSink } from "../../../events/declare/sink.ts";
import { declareSource, removeSource } from "../../../events/declare/source.ts";
import { declareTrigger, removeTrigger } from "../../../events/declare/trigger.ts";
import { type KindDeclarations, ObjectDocuments } from "../../../events/objects/object-documents.ts";
import type { ObjectFeed } from "../../../events/objects/object-feed.ts";
import { ObjectKeeper } from "../../../events/objects/object-keeper.ts";
import { ObjectStatuses } from "../../../events/objects/object-statuses.ts";
import type { SourceLead } from "../../../events/sources/source-runner.ts";
import type { Logger } from "../../../kit/log.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";
import type { EventsAtWork } from "./events-parts.ts";

export interface KeepObjectsDeps {
  readonly parts: EventsAtWork;
  readonly lead: SourceLead;
  readonly feed: ObjectFeed;
  readonly table: Pick<FunctionTable, "find" | "whenSynced">;
  readonly log: Logger;
}

const AS_IT_IS = (spec: unknown) => spec;

/** Keeps what objects of the cluster declare, while this process leads. */
export function keepObjects({ parts, lead, feed, table, log }: KeepObjectsDeps): ObjectKeeper {
  const { events, resources, triggers, flows, transforms, types, sinkTypes } = parts;
  const checkTransform = (expression: string, field: string) => transforms.check(expression, field);
  // All at once, when all of them are declared.
  const later = { refresh: async () => {} };
  const ofBrokers = { events, resources, brokers: later };
  const ofTriggers = { events, resources, triggers: later, checkTransform };
  const ofFlows = { events, resources, flows: flows.triggers, checkTransform };
  const declarations: Readonly<Record<"broker" | "trigger" | "source" | "sink" | "flow", KindDeclarations>> = {
    broker: {
      declare: (declaration) => declareBroker(ofBrokers, declaration),
      remove: (name) => removeBroker(ofBrokers, name),
      written: AS_IT_IS,
    },
    trigger: {
      declare: (declaration) => declareTrigger(ofTriggers, declaration),
      remove: (name) => removeTrigger(ofTriggers, name),
      written: AS_IT_IS,
    },
    source: {
      declare: (declaration) => declareSource({ resources, types }, declaration),
      remove: (name) => removeSource({ resources }, name),
      written: (spec) => encodeSourceSpec(decodeSourceSpec(spec)),
    },
    sink: {
      declare: (declaration) => declareSink({ resources, sinkTypes }, declaration),
      remove: (name) => resources.remove({ kind: "sink", ...name }),
      written: (spec) => encodeSinkSpec(decodeSinkSpec(spec)),
    },
    flow: {
      declare: (declaration) => declareFlow(ofFlows, declaration),
      remove: (name) => removeFlow(ofFlows, name),
      written: AS_IT_IS,
    },
  };
  const now = () => performance.now();
  return new ObjectKeeper({
    lead,
    feed,
    documents: new ObjectDocuments({
      resources,
      declarations,
      now,
      log,
      gone: (objects, signal) => feed.gone(objects, signal),
      refresh: () => triggers.refresh(),
    }),
    statuses: new ObjectStatuses({
      ...parts,
      triggers: triggers.triggers,
      flows: flows.triggers,
      hasFunction: (ref: FunctionRef) => table.find(qualifiedName(ref)) !== undefined,
    }),
    resources,
    ready: table.whenSynced,
    now,
    log,
  });
}
