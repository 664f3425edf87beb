import { decode } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { SubscriberSpec } from "../../contract/events/delivery-spec.ts";
import { subscriberSpec } from "../../contract/events/delivery-spec.ts";
import { qualifiedName } from "../../contract/functions.ts";
import { parseVersionedName } from "../../contract/versions/version-name.ts";
import type { Subscriber } from "./trigger.ts";

type FunctionSubscriber = Extract<Subscriber, { kind: "function" }>;

/**
 * Where a checked spec leads.
 * @param namespace of what it names without one
 * @param version of a function, unless its name has one
 */
export function readSubscriber(spec: SubscriberSpec, namespace: string, version?: string): Subscriber {
  const { ref, uri, function: functionName, sink, broker } = spec;
  if (functionName !== undefined) return functionNamed(functionName, namespace, version, uri);
  if (sink !== undefined) return { kind: "sink", ...placed(sink, namespace) };
  if (broker !== undefined) return { kind: "broker", broker: placed(broker, namespace) };
  if (ref) {
    const place = { namespace: ref.namespace ?? namespace, name: ref.name };
    if (ref.kind === "Sink") return { kind: "sink", ...place };
    if (ref.kind === "Broker") return { kind: "broker", broker: place };
    return functionNamed(ref.name, place.namespace, version, uri);
  }
  return { kind: "uri", uri: uri as string };
}

function functionNamed(
  text: string,
  namespace: string,
  version: string | undefined,
  path: string | undefined,
): FunctionSubscriber {
  const { namespace: own, name: whole } = placed(text, namespace);
  const { name, version: pinned = version } = parseVersionedName(whole);
  return {
    kind: "function",
    function: { name, namespace: own },
    ...(pinned !== undefined && { version: pinned }),
    ...(path !== undefined && { path }),
  };
}

/** `NAME`, or `NAMESPACE/NAME`. */
function placed(text: string, namespace: string): { readonly namespace: string; readonly name: string } {
  const slash = text.indexOf("/");
  return slash < 0 ? { namespace, name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

const PREFIXES = ["function", "sink", "broker"] as const;

/**
 * A subscriber as one text: a URL, `sink/NAME`, `broker/NAME`, `function/NAME`; a name alone is a function's. The names may have a
 * namespace before them: `broker/NAMESPACE/NAME`.
 * @throws {FaasError} `invalid`, naming `field` and the rule
 */
export function parseSubscriber(text: string, namespace: string, field: string): Subscriber {
  const prefix = PREFIXES.find((each) => text.startsWith(`${each}/`));
  const isUri = prefix === undefined && text.includes(":");
  const spec = isUri ? { uri: text } : { [prefix ?? "function"]: prefix ? text.slice(prefix.length + 1) : text };
  return readSubscriber(decode(subscriberSpec, spec, field), namespace);
}

/** `function/NAMESPACE/NAME[@VERSION]`, as replays name where they go. @throws {FaasError} `invalid` */
export function parseReplayTarget(target: string, namespace: string): Subscriber {
  if (!target.startsWith("function/")) throw new FaasError("invalid", "target: must be function/NAMESPACE/NAME");
  return parseSubscriber(target, namespace, "target");
}

/** A subscriber as one text, which {@link parseSubscriber} reads. */
export function formatSubscriber(subscriber: Subscriber): string {
  switch (subscriber.kind) {
    case "function": {
      const { function: ref, version } = subscriber;
      return `function/${ref.namespace}/${ref.name}${version === undefined ? "" : `@${version}`}`;
    }
    case "broker":
      return `broker/${subscriber.broker.namespace}/${subscriber.broker.name}`;
    case "sink":
      return `sink/${subscriber.namespace}/${subscriber.name}`;
    default:
      return subscriber.uri;
  }
}

/** Where it is, for what failed there: the URL, or the path at the platform. */
export function subscriberPlace(subscriber: Subscriber): string {
  switch (subscriber.kind) {
    case "function":
      return `/function/${qualifiedName(subscriber.function)}${subscriber.path ?? ""}`;
    case "broker":
      return `/broker/${subscriber.broker.namespace}/${subscriber.broker.name}`;
    case "sink":
      return `/sink/${subscriber.namespace}/${subscriber.name}`;
    default:
      return withoutQuery(subscriber.uri);
  }
}

/** Queries of webhooks carry tokens. */
function withoutQuery(uri: string): string {
  const at = uri.indexOf("?");
  return at < 0 ? uri : uri.slice(0, at);
}
