import { clip } from "../../contract/clip.ts";
import { DEFAULT_BROKER } from "../../contract/events/default-broker.ts";
import type {
  EventObject,
  EventObjectStatus,
  ObjectCondition,
  ObjectProblem,
  ObjectStatusFields,
} from "../../contract/events/event-object.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { KnownBrokers } from "../brokers/known-brokers.ts";
import type { FlowSet } from "../flows/flow-set.ts";
import { FLOW_BROKER } from "../flows/plan.ts";
import type { Sinks } from "../sinks/sinks.ts";
import { documentId } from "../sources/document-sources.ts";
import type { SourceStatus } from "../sources/source.ts";
import type { SourceRunner } from "../sources/source-runner.ts";
import type { SourceStatuses } from "../sources/source-statuses.ts";
import type { BrokerRef } from "../store/event-store.ts";
import type { EventResource } from "../store/resource-store.ts";
import { subscriberPlace } from "../triggers/subscribers.ts";
import type { Subscriber, Trigger } from "../triggers/trigger.ts";
import type { Triggers } from "../triggers/triggers.ts";
import {
  brokerConditions,
  type Fault,
  flowConditions,
  sinkConditions,
  sourceConditions,
  type Target,
  triggerConditions,
} from "./object-conditions.ts";
import { declaredKey } from "./object-mirror.ts";

export interface ObjectStatusesOptions {
  readonly brokers: Pick<KnownBrokers, "find">;
  readonly triggers: Pick<Triggers, "find">;
  readonly flows: Pick<FlowSet, "all">;
  readonly runner: Pick<SourceRunner, "find">;
  /** What other processes tell of sources; absent where there are none. */
  readonly statuses?: Pick<SourceStatuses, "read">;
  readonly sinks: Pick<Sinks, "status">;
  readonly hasFunction: (ref: FunctionRef) => boolean;
}

type Documents = ReadonlyMap<string, EventResource>;

const UNSEEN: SourceStatus = { state: "connecting", events: 0, errors: 0 };

/** Tells of objects how what they declare is. */
export class ObjectStatuses {
  readonly #options: ObjectStatusesOptions;

  constructor(options: ObjectStatusesOptions) {
    this.#options = options;
  }

  /**
   * @param problem why it is not what counts
   * @param documents all that are declared, by their keys
   */
  async of(object: EventObject, problem: ObjectProblem | undefined, documents: Documents): Promise<EventObjectStatus> {
    const { kind, namespace, name, uid, generation } = object;
    const document = documents.get(declaredKey(object));
    // What somebody else has declared under the name says nothing of the object.
    const own = document?.origin?.uid === uid ? document : undefined;
    const { conditions, fields = {} } = await this.#told(object, problem, own, documents);
    return { kind, namespace, name, uid, generation, conditions, fields: clipped(fields) };
  }

  async #told(
    { kind, namespace, name }: EventObject,
    problem: ObjectProblem | undefined,
    own: EventResource | undefined,
    documents: Documents,
  ): Promise<{ readonly conditions: ObjectCondition[]; readonly fields?: ObjectStatusFields }> {
    switch (kind) {
      case "broker": {
        const path = own && `/broker/${namespace}/${name}`;
        return { conditions: brokerConditions(problem, path), fields: { path } };
      }
      case "trigger":
        return await this.#trigger(
          own && this.#options.triggers.find(`trigger/${namespace}/${name}`),
          problem,
          documents,
        );
      case "source":
        return await this.#source(own, problem);
      case "sink": {
        const sink = own && this.#options.sinks.status({ namespace, name });
        return {
          conditions: sinkConditions({ problem, sink }),
          fields: { state: sink?.state, lastError: sink?.problem },
        };
      }
      case "flow":
        return { conditions: flowConditions({ problem, flow: own && (await this.#flow(own, documents)) }) };
    }
  }

  async #trigger(trigger: Trigger | undefined, problem: ObjectProblem | undefined, documents: Documents) {
    if (!trigger) return { conditions: triggerConditions({ problem, trigger: undefined }) };
    const broker = await this.#broker(trigger.broker ?? { namespace: trigger.namespace, name: DEFAULT_BROKER });
    const subscriber = await this.#subscriber(trigger.subscriber, documents);
    const deadLetter = trigger.deadLetter && (await this.#subscriber(trigger.deadLetter, documents));
    const { stopped, suspended = false } = trigger;
    const facts = { broker, subscriber, deadLetter, problem: trigger.problem, stopped, suspended };
    return {
      conditions: triggerConditions({ problem, trigger: facts }),
      fields: { subscriberUri: subscriber.uri || undefined, deadLetterSinkUri: deadLetter?.uri },
    };
  }

  async #source(own: EventResource | undefined, problem: ObjectProblem | undefined) {
    if (!own) return { conditions: sourceConditions({ problem, source: undefined }) };
    const { namespace, name, spec } = own;
    const { broker: brokerName = DEFAULT_BROKER } = spec as { readonly broker?: string };
    const broker = await this.#broker({ namespace, name: brokerName });
    const status = await this.#sourceStatus(documentId(namespace, name));
    const { state, lag, lastEventAt, lastErrorAt, problem: failed } = status;
    return {
      conditions: sourceConditions({ problem, source: { broker, status } }),
      fields: {
        state,
        lag,
        lastEventTime: lastEventAt === undefined ? undefined : rfc3339(lastEventAt),
        lastError: failed ?? (lastErrorAt === undefined ? undefined : `at ${rfc3339(lastErrorAt)}; it is over`),
      },
    };
  }

  /** Of one that runs elsewhere, what is told of it there. */
  async #sourceStatus(id: string): Promise<SourceStatus> {
    const here = this.#options.runner.find(id)?.status;
    if (here && here.state !== "elsewhere") return here;
    return (await this.#options.statuses?.read(id)) ?? here ?? UNSEEN;
  }

  async #flow({ namespace, name, spec }: EventResource, documents: Documents) {
    const { broker: brokerName, suspend } = spec as { readonly broker?: string; readonly suspend?: boolean };
    const prefix = `flow/${namespace}/${name}/`;
    const triggers = this.#options.flows.all.filter(({ id }) => id.startsWith(prefix));
    const unsound = triggers.find(({ problem }) => problem !== undefined)?.problem;
    const sound = unsound === undefined ? triggers.filter(({ subscriber }) => !isWithin(subscriber)) : [];
    return {
      broker: brokerName === undefined ? undefined : await this.#broker({ namespace, name: brokerName }),
      subscribers: await Promise.all(sound.map(({ subscriber }) => this.#subscriber(subscriber, documents))),
      unsound,
      suspended: suspend === true,
    };
  }

  async #broker(ref: BrokerRef): Promise<Target> {
    const uri = `/broker/${ref.namespace}/${ref.name}`;
    const isThere = (await this.#options.brokers.find(ref)) !== undefined;
    return { uri, fault: isThere ? undefined : missing("NoBroker", "broker", ref) };
  }

  async #subscriber(subscriber: Subscriber, documents: Documents): Promise<Target> {
    const uri = subscriberPlace(subscriber);
    switch (subscriber.kind) {
      case "function": {
        const isThere = this.#options.hasFunction(subscriber.function);
        return { uri, fault: isThere ? undefined : missing("NoFunction", "function", subscriber.function) };
      }
      case "broker":
        return await this.#broker(subscriber.broker);
      case "sink": {
        const isThere = documents.has(declaredKey({ ...subscriber, kind: "sink" }));
        return { uri, fault: isThere ? undefined : missing("NoSink", "sink", subscriber) };
      }
      default:
        return { uri };
    }
  }
}

/** Steps that call nobody go on by the platform's own broker of flows. */
function isWithin(subscriber: Subscriber): boolean {
  return subscriber.kind === "broker" && subscriber.broker.name === FLOW_BROKER;
}

function missing(reason: string, what: string, { namespace, name }: BrokerRef): Fault {
  return { reason, message: `${what} ${name} does not exist in namespace ${namespace}` };
}

/** With what says that it was cut, less than the provider takes. */
const MAX_TEXT_CHARS = 1_990;

function clipped(fields: ObjectStatusFields): ObjectStatusFields {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === "string" ? clip(value, MAX_TEXT_CHARS) : value,
  ]);
  return Object.fromEntries(entries) as ObjectStatusFields;
}

function rfc3339(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}
