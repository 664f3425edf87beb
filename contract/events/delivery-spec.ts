import { z } from "zod";
import { maybe } from "../decode.ts";
import { isFunctionName } from "../functions.ts";
import { isDnsLabel } from "../names.ts";

const MAX_URI_CHARS = 2_000;
const MAX_PATH_CHARS = 1_000;
/** Of a function as a subscriber: what may follow its name in a URL. */
const PATH = /^\/[\x21-\x7e]*$/;

const dnsLabel = z.string().refine(isDnsLabel, "must be a DNS label: a-z, 0-9 and -");
/** Where events go, by its kind and name, as Knative's objects refer to others. */
const objectRef = z.strictObject({
  kind: z.enum(["Function", "Service", "Broker", "Sink"], "must be Function, Service, Broker or Sink"),
  name: z.string().min(1, "is required"),
  namespace: maybe(dnsLabel),
  apiVersion: maybe(z.string()),
  group: maybe(z.string()),
});

/** `NAME`, or `NAMESPACE/NAME`. */
const localName = z.string().refine((text) => {
  const [first = "", second, ...more] = text.split("/");
  return more.length === 0 && isDnsLabel(first) && (second === undefined || isDnsLabel(second));
}, "must be NAME or NAMESPACE/NAME, of a-z, 0-9 and -");

const functionName = z.string().refine((text) => {
  const [namespace, name = ""] = text.includes("/") ? text.split(/\/(.*)/s) : [undefined, text];
  const [bare = "", version] = name.split(/@(.*)/s);
  if (namespace !== undefined && !isDnsLabel(namespace)) return false;
  return isFunctionName(bare) && (version === undefined || isDnsLabel(version));
}, "must be NAME or NAMESPACE/NAME, with @VERSION or @TAG behind it or not");

const WAYS = ["ref", "function", "sink", "broker"] as const;

/** Who gets events: one of them, and for a function or alone a `uri`. */
export const subscriberSpec = z
  .strictObject({
    ref: maybe(objectRef),
    /** Absolute: a URL of http or https. Beside a function: the path there. */
    uri: maybe(z.string().max(MAX_URI_CHARS, `must be at most ${MAX_URI_CHARS} characters`)),
    /** `NAME`, `NAME@v3`, `NAMESPACE/NAME`. */
    function: maybe(functionName),
    /** One that is declared. */
    sink: maybe(localName),
    broker: maybe(localName),
  })
  .superRefine((spec, context) => {
    const given = WAYS.filter((way) => spec[way] !== undefined);
    const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
    if (given.length > 1) issue([], `must have one of ${WAYS.join(", ")} and uri, not ${given.join(" and ")}`);
    if (given.length === 0 && spec.uri === undefined) issue([], `must have one of ${WAYS.join(", ")} and uri`);
    if (spec.ref && spec.ref.kind !== "Function" && spec.ref.kind !== "Service") {
      if (!isDnsLabel(spec.ref.name)) issue(["ref", "name"], "must be a DNS label: a-z, 0-9 and -");
    } else if (spec.ref && !functionName.safeParse(spec.ref.name).success) {
      issue(["ref", "name"], "must be the name of a function");
    }
    if (spec.uri === undefined) return;
    if (given.length === 0) {
      const problem = uriProblem(spec.uri);
      if (problem !== undefined) issue(["uri"], problem);
    } else if (given[0] === "function" || spec.ref?.kind === "Function" || spec.ref?.kind === "Service") {
      if (!PATH.test(spec.uri) || spec.uri.length > MAX_PATH_CHARS) {
        issue(["uri"], `beside a function, must be a path there: from / on, at most ${MAX_PATH_CHARS} characters`);
      }
    } else issue(["uri"], `must not be there beside ${given[0]}`);
  });
export type SubscriberSpec = z.output<typeof subscriberSpec>;

/** What is wrong with where events are sent to outside. */
function uriProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return "must be a URL of http or https";
  if (url.username !== "" || url.password !== "") {
    return "must not carry credentials; declare a sink, which takes them from a secret";
  }
  return url.hash === "" ? undefined : "must not have a fragment";
}

const waitText = z.union([z.string(), z.number()], "must be a duration such as PT1S or 1s").transform(String);

/** How events are delivered: Knative's fields, and ours. Their bounds are looked at when they are read. */
export const deliverySpec = z.strictObject({
  /** Tries after the first one. */
  retry: maybe(z.number("must be a whole number").int("must be a whole number")),
  /** `linear`, `exponential` or `webhook`: 5 s, 5 m, 30 m, 2 h, 5 h, 10 h and so on. */
  backoffPolicy: maybe(z.string()),
  backoffDelay: maybe(waitText),
  /** For one try. */
  timeout: maybe(waitText),
  retryAfterMax: maybe(waitText),
  maxDelay: maybe(waitText),
  /** From an event's arrival on. */
  maxAge: maybe(waitText),
  /** How events are written into requests. */
  format: maybe(z.enum(["binary", "json"], "must be binary or json")),
  /** What an answer of 200 may be: `event`, `any` or `none`. */
  reply: maybe(z.enum(["event", "any", "none"], "must be event, any or none")),
  /** Gets what could not be delivered. */
  deadLetterSink: maybe(subscriberSpec),
});
export type EventDeliverySpec = z.output<typeof deliverySpec>;
