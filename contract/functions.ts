import { z } from "zod";
import { listProblems } from "./clip.ts";
import { atMost, decode, maybe, stringMap } from "./decode.ts";
import { FaasError } from "./errors.ts";

/** Where a function lives. `namespace` is always resolved; the wire may omit it. */
export interface FunctionRef {
  readonly name: string;
  readonly namespace: string;
}

/** `name.namespace`: how metrics, queue messages and URLs with a namespace write a function. */
export function qualifiedName({ name, namespace }: FunctionRef): string {
  return `${name}.${namespace}`;
}

/** Kubernetes quantities as text, e.g. `128Mi`, `100m`. */
const functionResources = z.object({ memory: maybe(z.string()), cpu: maybe(z.string()) });
export type FunctionResources = z.output<typeof functionResources>;

/** Of each map and list of a deployment: more than anybody sets, few enough to look at each. */
const MAX_ENTRIES = 1_000;
const settings = maybe(atMost(MAX_ENTRIES, stringMap));
const names = maybe(atMost(MAX_ENTRIES, z.array(z.string())));

const functionDeployment = z.object({
  service: z.string(),
  image: z.string(),
  namespace: maybe(z.string()),
  envProcess: maybe(z.string()),
  envVars: settings,
  constraints: names,
  secrets: names,
  labels: settings,
  annotations: settings,
  limits: maybe(functionResources),
  requests: maybe(functionResources),
  readOnlyRootFilesystem: maybe(z.boolean()),
});
/** What `POST` and `PUT /system/functions` carry. @see test/compat/cli-commands.ts for one of faas-cli */
export type FunctionDeployment = z.output<typeof functionDeployment>;

// A missing service or image has messages of its own, given by `definitionProblems`, so decoding lets them be empty.
const looseDeployment = functionDeployment.extend({
  service: z.preprocess((v) => v ?? "", z.string()),
  image: z.preprocess((v) => v ?? "", z.string()),
});

/** @throws {FaasError} `invalid` when a field has the wrong type */
export function decodeFunctionDeployment(value: unknown): FunctionDeployment {
  return decode(looseDeployment, value, "failed to unmarshal request");
}

const DNS_LABEL = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether `name` may name a function: a DNS label that starts with a letter, as a Kubernetes Service demands. */
export function isFunctionName(name: string): boolean {
  return DNS_LABEL.test(name);
}

/** Rules for its name and image that `deployment` breaks, in the order and words of faas-netes. */
export function definitionProblems({ service, image }: Pick<FunctionDeployment, "service" | "image">): string[] {
  const name = isFunctionName(service) ? [] : [`service: (${service}) is invalid, must be a valid DNS entry`];
  return [...(service === "" ? ["service: is required"] : name), ...(image === "" ? ["image: is required"] : [])];
}

const MISSING_SECRET = "unable to fetch secrets: ";

/** The rule that a deployment breaks which names a secret that does not exist. */
export function missingSecret(name: string): string {
  return `${MISSING_SECRET}secrets "${name}" not found`;
}

/** All rules that a deployment breaks, as one failure. */
export function brokenRules(problems: readonly string[]): FaasError {
  // As faas-netes says it, whose clients may look for these words at the beginning.
  const isBare = problems.every((problem) => problem.startsWith(MISSING_SECRET));
  return new FaasError("invalid", `${isBare ? "" : "validation failed: "}${listProblems(problems)}`);
}

const QUANTITY = /^[+-]?(\d+(\.\d*)?|\.\d+)(m|k|[KMGTPE]i?|[eE][+-]?\d+)?$/;
const MAX_QUANTITY_CHARS = 64;

const isQuantity = (text: string) => text.length <= MAX_QUANTITY_CHARS && QUANTITY.test(text);

/** Fields whose quantity Kubernetes would refuse, one line each. */
export function quantityProblems({ limits, requests }: Pick<FunctionDeployment, "limits" | "requests">): string[] {
  return Object.entries({ limits, requests }).flatMap(([group, resources]) =>
    Object.entries(resources ?? {}).flatMap(([field, text]) =>
      text !== undefined && text !== "" && !isQuantity(text)
        ? [`${group}.${field}: "${text}" is not a quantity such as 128Mi or 100m`]
        : [],
    ),
  );
}

const functionStatus = z.object({
  name: z.string(),
  image: z.string(),
  namespace: maybe(z.string()),
  envProcess: maybe(z.string()),
  envVars: maybe(stringMap),
  constraints: maybe(z.array(z.string())),
  secrets: maybe(z.array(z.string())),
  labels: maybe(stringMap),
  annotations: maybe(stringMap),
  limits: maybe(functionResources),
  requests: maybe(functionResources),
  readOnlyRootFilesystem: maybe(z.boolean()),
  /** Calls counted by the gateway, which adds the field to lists. */
  invocationCount: maybe(z.number()),
  /** Replicas wanted; absent means 0. */
  replicas: maybe(z.number()),
  /** Replicas ready to serve; absent means 0. */
  availableReplicas: maybe(z.number()),
  /** RFC 3339. */
  createdAt: maybe(z.string()),
  /** CPU in milli-cores and memory in bytes, summed over the replicas. */
  usage: maybe(z.object({ cpu: maybe(z.number()), totalMemoryBytes: maybe(z.number()) })),
  /** Why replicas do not come up, e.g. a crash loop. An addition of ours; absent while all is well. */
  problem: maybe(z.string()),
  /** What keeps it from everything else on its machine. An addition of ours; absent where the backend does not say. */
  sandbox: maybe(z.string()),
  /** Size of the files that it was deployed from, in bytes. An addition of ours; absent where it is not known. */
  imageBytes: maybe(z.number()),
});
/** One function as `GET /system/functions` lists it. @see test/compat/control-rows.ts for its fields */
export type FunctionStatus = z.output<typeof functionStatus>;

const functionList = z.array(functionStatus);

/** @throws {FaasError} `invalid` */
export function decodeFunctionStatus(value: unknown): FunctionStatus {
  return decode(functionStatus, value, "function status");
}

/** @throws {FaasError} `invalid` */
export function decodeFunctionList(value: unknown): FunctionStatus[] {
  return decode(functionList, value, "function list");
}

const nameList = z.array(z.object({ name: z.string() }));

/** The names alone of such a list. @throws {FaasError} `invalid` */
export function decodeFunctionNames(value: unknown): string[] {
  return decode(nameList, value, "function list").map(({ name }) => name);
}

const deleteRequest = z.object({ functionName: z.string().min(1), namespace: maybe(z.string()) });

/** Body of `DELETE /system/functions`. @throws {FaasError} `invalid` */
export function decodeDeleteRequest(value: unknown): z.output<typeof deleteRequest> {
  return decode(deleteRequest, value, "failed to unmarshal request");
}

/** Far above what any backend runs of one function. */
const MAX_REPLICAS = 10_000;

const scaleRequest = z.object({
  serviceName: maybe(z.string()),
  replicas: z.number().int().min(0),
  namespace: maybe(z.string()),
  /** Calls at each replica, by its address, so that idle ones go first. An addition of ours. */
  inFlight: maybe(atMost(MAX_REPLICAS, z.record(z.string(), z.number().int().min(0)))),
});
/** Body of `POST /system/scale-function/{name}`. */
export type ScaleRequest = z.output<typeof scaleRequest>;

/** @throws {FaasError} `invalid` */
export function decodeScaleRequest(value: unknown): ScaleRequest {
  return decode(scaleRequest, value, "Error unmarshalling request body");
}
