import { z } from "zod";
import { brokerSpec } from "../../../../contract/events/broker-spec.ts";
import { DECLARED_KINDS, type DeclaredKind, OBJECT_KINDS } from "../../../../contract/events/event-object.ts";
import { flowSpec } from "../../../../contract/events/flow-spec.ts";
import { sinkSpec } from "../../../../contract/events/sink-spec.ts";
import { sourceSpec } from "../../../../contract/events/source-spec.ts";
import { triggerSpec } from "../../../../contract/events/trigger-spec.ts";
import {
  conditionColumn,
  conditions,
  envelope,
  type Kind,
  objectSchema as object,
  type Schema,
  textSchema as text,
} from "./crd-schema.ts";
import { EVENT_PLURALS } from "./event-object.ts";

/** What the API takes is what objects say. */
const SPECS: Readonly<Record<DeclaredKind, z.ZodType>> = {
  broker: brokerSpec,
  trigger: triggerSpec,
  source: sourceSpec,
  sink: sinkSpec,
  flow: flowSpec,
};

/** For `kubectl explain`. */
const ABOUT: Readonly<Record<DeclaredKind, Readonly<Record<string, string>>>> = {
  broker: {
    maxAge: "How long an event is kept, such as 24h.",
    maxSize: "Of events and their data, such as 512Mi.",
    maxEvents: "How many events are kept.",
    auth: "Who may send events: none for anybody, basic for those who log in.",
    delivery: "What triggers of this broker have that say nothing else.",
  },
  trigger: {
    broker: "Whose events; default when absent.",
    filter: "Attributes that are equal, or just there where the text is empty.",
    filters: "Filters of CloudEvents Subscriptions; they win over filter.",
    subscriber: "Who gets the events: one of ref, function, sink and broker, or uri.",
    delivery: "Retries, waits and the dead-letter sink.",
    order: "partitionkey: one after another among events of one key.",
    concurrency: "Deliveries at a time.",
    suspend: "What it matches waits.",
    ledger: "What is kept of delivered events: full, meta or off.",
    transform: "JSONata, applied to the event before it is delivered.",
    version: "Of the function: v3, or a tag.",
  },
  source: {
    type: "The kind of source, such as cron; its settings lie beside it.",
    broker: "Where its events go; default when absent.",
    suspend: "It brings nothing.",
    attributes: "Set in each of its events.",
    ceOverrides: "As Knative has it.",
  },
  sink: { type: "The kind of sink, such as kafka; its settings lie beside it." },
  flow: {
    broker: "Whose events start it; without one only requests do.",
    filter: "Attributes that are equal, or just there where the text is empty.",
    filters: "Filters of CloudEvents Subscriptions; they win over filter.",
    steps: "A Sequence.",
    branches: "A Parallel.",
    join: "How many branches have to answer: all, any or a number.",
    catch: "Takes failures of the branches.",
    reply: "Who gets the end of it.",
    timeout: "Of a whole run.",
    suspend: "Events start no runs.",
    channelTemplate: "Not used.",
  },
};

const column = (name: string, jsonPath: string, type = "string") => ({ name, type, jsonPath });
const COLUMNS: Readonly<Record<DeclaredKind, readonly Schema[]>> = {
  broker: [column("Path", ".status.path")],
  trigger: [column("Broker", ".spec.broker"), column("Subscriber", ".status.subscriberUri")],
  source: [
    column("Type", ".spec.type"),
    column("Broker", ".spec.broker"),
    column("Last event", ".status.lastEventTime", "date"),
  ],
  sink: [column("Type", ".spec.type")],
  flow: [column("Broker", ".spec.broker")],
};

const STATUS: Readonly<Record<DeclaredKind, Schema>> = {
  broker: { path: text("Of the gateway: events are sent there.") },
  trigger: { subscriberUri: text(), deadLetterSinkUri: text() },
  source: {
    state: text(),
    lag: { type: "number", description: "What waits outside." },
    lastEventTime: { type: "string", format: "date-time" },
    lastError: text(),
  },
  sink: { state: text(), lastError: text() },
  flow: {},
};

/** Broker, Trigger, Source, Sink and Flow: each declares the document of that name. */
export function buildEventKinds(): Kind[] {
  return DECLARED_KINDS.map((kind) => ({
    kind: OBJECT_KINDS[kind],
    plural: EVENT_PLURALS[kind],
    version: {
      additionalPrinterColumns: [
        ...COLUMNS[kind],
        conditionColumn("Ready"),
        column("Reason", `.status.conditions[?(@.type=="Ready")].reason`),
        column("Age", ".metadata.creationTimestamp", "date"),
      ],
      schema: {
        // A broker may say nothing.
        openAPIV3Schema: object(
          { ...envelope, spec: specOf(kind), status: statusOf(kind) },
          kind === "broker" ? undefined : ["spec"],
        ),
      },
      subresources: { status: {} },
    },
  }));
}

function statusOf(kind: DeclaredKind): Schema {
  return object({ conditions, observedGeneration: { type: "integer", format: "int64" }, ...STATUS[kind] });
}

function specOf(kind: DeclaredKind): Schema {
  const spec = structural(toJson(SPECS[kind])) as { readonly properties: Readonly<Record<string, Schema>> };
  const properties = Object.entries(spec.properties).map(([name, schema]) => {
    const description = ABOUT[kind][name];
    return [name, description === undefined ? schema : { description, ...schema }];
  });
  return { ...spec, properties: Object.fromEntries(properties) as Schema };
}

type Json = Readonly<Record<string, unknown>>;

/** As it is written, before anything is made of it. */
function toJson(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const { def } = zodSchema._zod;
      // What is counted before it is looked at, see `atMost`.
      if (def.type !== "pipe" || def.in._zod.def.type !== "custom") return;
      const { $schema: _, ...counted } = toJson(def.out as z.ZodType);
      Object.assign(jsonSchema, counted);
    },
  }) as Json;
}

const KEPT = ["enum", "minLength", "maxLength", "minItems", "maxItems"] as const;
/** Whatever is there stays. */
const ANYTHING: Schema = { "x-kubernetes-preserve-unknown-fields": true };
const NUMBER_OR_TEXT: Schema = {
  anyOf: [{ type: "integer" }, { type: "string" }],
  "x-kubernetes-int-or-string": true,
};

/**
 * The part of a JSON Schema that Kubernetes lets a kind have: each field has one type, a number or text, or is anything.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
function structural(json: Json): Schema {
  const types = typesOf(json);
  const [type] = types;
  if (types.length > 1)
    return types.every((each) => NUMBERS.has(each) || each === "string") ? NUMBER_OR_TEXT : ANYTHING;
  const kept = Object.fromEntries(KEPT.flatMap((name) => (json[name] === undefined ? [] : [[name, json[name]]])));
  switch (type) {
    case "object":
      return { type, ...objectOf(json) };
    case "array":
      return { type, ...kept, items: structural((json.items ?? {}) as Json) };
    case "integer":
    case "number":
      return { type, ...boundsOf(json) };
    case "string":
    case "boolean":
      return { type, ...kept };
    default:
      return ANYTHING;
  }
}

const NUMBERS: ReadonlySet<unknown> = new Set(["integer", "number"]);

function typesOf({ type, anyOf }: Json): readonly unknown[] {
  if (Array.isArray(anyOf)) return (anyOf as Json[]).flatMap(typesOf);
  return Array.isArray(type) ? type : [type];
}

function objectOf({ properties, required, additionalProperties: others }: Json): Schema {
  if (properties === undefined) return { additionalProperties: structural((others ?? {}) as Json) };
  const fields = Object.entries(properties as Readonly<Record<string, Json>>);
  return {
    ...(Array.isArray(required) && { required }),
    properties: Object.fromEntries(fields.map(([name, field]) => [name, structural(field)])),
    ...(others !== undefined && others !== false && ANYTHING),
  };
}

/** Those of JavaScript's numbers say nothing. */
function boundsOf({ minimum, maximum }: Json): Schema {
  return {
    ...(Number(minimum) > Number.MIN_SAFE_INTEGER && { minimum }),
    ...(Number(maximum) < Number.MAX_SAFE_INTEGER && { maximum }),
  };
}
