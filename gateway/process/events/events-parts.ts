import type { IncomingMessage } from "node:http";
import type { KnownBrokers } from "../../../events/brokers/known-brokers.ts";
import type { OpenFlows } from "../../../events/flows/open-flows.ts";
import type { Replays } from "../../../events/ledger/replays.ts";
import type { ObjectFeed } from "../../../events/objects/object-feed.ts";
import type { SinkTypes } from "../../../events/sinks/sink-types.ts";
import type { Sinks } from "../../../events/sinks/sinks.ts";
import type { SourceRunner } from "../../../events/sources/source-runner.ts";
import type { SourceStatuses } from "../../../events/sources/source-statuses.ts";
import type { SourceTypes } from "../../../events/sources/source-types.ts";
import type { EventStore } from "../../../events/store/event-store.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import type { Transforms } from "../../../events/transforms/transforms.ts";
import type { BoundSinks } from "../../../events/triggers/bound-sinks.ts";
import type { OpenTriggers } from "../../../events/triggers/open-triggers.ts";
import type { Logger } from "../../../kit/log.ts";
import type { CallbackTargetRules } from "../../../kit/outbound/targets.ts";
import type { FunctionCaller } from "../../async/function-caller.ts";
import type { EventMeter } from "../../metrics/event-meter.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";
import type { CallObserver } from "../../telemetry/call-record.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { EmbeddedEventsConfig, JetStreamEventsConfig } from "../events-config.ts";
import type { EventNamespacesOptions } from "./event-namespaces.ts";

export interface EventsDeps {
  readonly config: EmbeddedEventsConfig | JetStreamEventsConfig;
  readonly table: FunctionTable;
  /** Makes calls of functions. Its owner closes it after events are closed. */
  readonly caller: FunctionCaller;
  readonly tracer: Tracer | undefined;
  /** Told of requests that bring events; absent where nobody wants to know. */
  readonly observer?: CallObserver | undefined;
  readonly listNamespaces: EventNamespacesOptions["list"];
  /** Where objects of a cluster that declare events are learnt of. */
  readonly objects: ObjectFeed;
  readonly isAuthorized: (req: IncomingMessage) => boolean;
  /** Folder of functions' secrets. */
  readonly functionSecretsPath: string;
  /** Folder of the credentials for NATS. */
  readonly secretMountPath: string;
  /** Where events may go outside. */
  readonly targets: CallbackTargetRules;
  readonly meter: EventMeter;
  /** Name of this process, its own for each start. */
  readonly process: string;
  /** Whether this process takes events and answers questions about them. */
  readonly answers: boolean;
  readonly userAgent: string;
  readonly defaultNamespace: string;
  readonly log: Logger;
}

/** What of events is open in this process. */
export interface EventsAtWork {
  readonly events: EventStore;
  readonly resources: ResourceStore;
  readonly brokers: KnownBrokers;
  readonly boundSinks: BoundSinks;
  readonly triggers: OpenTriggers;
  readonly replays: Replays;
  readonly flows: OpenFlows;
  readonly transforms: Transforms;
  readonly types: SourceTypes;
  readonly runner: SourceRunner;
  readonly sinks: Sinks;
  readonly sinkTypes: SinkTypes;
  /** What other processes tell of sources; absent where there are none. */
  readonly statuses?: SourceStatuses;
}
