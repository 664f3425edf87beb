import { parseBoundedJson } from "../../contract/bounded-json.ts";
import { FaasError } from "../../contract/errors.ts";
import { type CloudEvent, checkedEvent, type EventValue, isJsonType } from "../codec/cloud-event.ts";
import type { SecretProfile } from "./profiles.ts";
import type { WebhookRequest } from "./signature.ts";

/** Those whose deliveries are one event each. */
export type EventProfile = Exclude<SecretProfile, "s3">;

/** What a profile finds out about a delivery; what is missing is filled in. */
interface WebhookContent {
  /** Of the sender; tells a second delivery from a first one. */
  readonly id?: string | undefined;
  readonly type: string;
  readonly source?: string | undefined;
  readonly subject?: string | undefined;
  readonly time?: string | undefined;
}

const BOUNDS = { maxDepth: 64, maxValues: 200_000 };
const MAX_TEXT = 512;

type Json = Readonly<Record<string, unknown>>;
const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const text = (value: unknown): string | undefined =>
  (typeof value === "string" || typeof value === "number") && value !== ""
    ? String(value).slice(0, MAX_TEXT)
    : undefined;

export interface WebhookEventOptions {
  /** Of events whose sender does not say, e.g. `/webhooks/openfaas-fn/orders`. */
  readonly source: string;
  /** GitHub's events as Knative's source has them, instead of as the CloudEvents adapter document has them. */
  readonly knative?: boolean;
  /** Header that names a delivery, in lower case, where the profile knows none. */
  readonly idHeader?: string | undefined;
  /** Names deliveries whose sender does not. */
  readonly newId: (body: Buffer) => string;
}

/** A delivery as an event. */
export interface WebhookDelivery {
  readonly event: CloudEvent;
  /** How its sender names it: a second one of that name is a replay. */
  readonly id?: string;
  /** What can be subscribed to: `push`, `issues.opened`, `charge.paid`. */
  readonly name: string;
}

/**
 * The event of a delivery whose signature was right; undefined for one that only tries whether there is somebody.
 * @throws {FaasError} `invalid` when the delivery is not as the profile has it
 */
export function webhookEvent(
  profile: EventProfile,
  given: WebhookRequest,
  { source, knative = false, idHeader, newId }: WebhookEventOptions,
): WebhookDelivery | undefined {
  const request = withoutForm(profile, given);
  const delivery = READERS[profile](request);
  if (!delivery) return undefined;
  const { headers, body } = request;
  const id = delivery.id ?? (idHeader === undefined ? undefined : text(headers[idHeader]));
  const content = knative && profile === "github" ? { ...delivery, ...knativeGithub(request) } : delivery;
  const attributes: Record<string, EventValue | undefined> = {
    specversion: "1.0",
    id: id ?? newId(body),
    source: content.source ?? source,
    type: content.type,
    subject: content.subject,
    time: content.time,
    datacontenttype: headers["content-type"],
  };
  const present = Object.entries(attributes).filter((entry): entry is [string, EventValue] => entry[1] !== undefined);
  const event = checkedEvent({ attributes: Object.fromEntries(present), ...(body.length > 0 && { data: body }) });
  return { event, ...(id !== undefined && { id }), name: delivery.type.replace(PREFIXES[profile] ?? "", "") };
}

const PREFIXES: Readonly<Partial<Record<EventProfile, string>>> = {
  github: "com.github.",
  gitlab: "com.gitlab.",
  stripe: "com.stripe.",
  slack: "com.slack.",
};

/** JSON that GitHub and Slack send as a form's field `payload` is taken out of it. */
function withoutForm(profile: EventProfile, request: WebhookRequest): WebhookRequest {
  const { headers, body } = request;
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headers["content-type"] ?? "");
  if (!isForm || (profile !== "github" && profile !== "slack")) return request;
  const payload = new URLSearchParams(body.toString()).get("payload");
  if (payload === null) return request;
  return { headers: { ...headers, "content-type": "application/json" }, body: Buffer.from(payload) };
}

/** @see https://github.com/knative-extensions/eventing-github */
function knativeGithub({ headers, body }: WebhookRequest): Pick<WebhookContent, "type" | "source"> {
  const { repository, organization } = jsonOf(body);
  const owner = text(object(organization).login);
  return {
    type: `dev.knative.source.github.${slug(headers["x-github-event"] ?? "")}`,
    source: uri(object(repository).html_url) ?? (owner === undefined ? undefined : `https://github.com/${owner}`),
  };
}

const READERS: Readonly<Record<EventProfile, (request: WebhookRequest) => WebhookContent | undefined>> = {
  github: readGithub,
  gitlab: ({ headers, body }) => {
    const event = headers["x-gitlab-event"];
    if (event === undefined) throw new FaasError("invalid", "x-gitlab-event: is missing");
    const { project, object_kind: kind } = jsonOf(body);
    return {
      id: headers["x-gitlab-event-uuid"],
      type: `com.gitlab.${text(kind) ?? slug(event)}`,
      source: uri(object(project).web_url),
      subject: text(object(project).path_with_namespace),
    };
  },
  stripe: ({ body }) => {
    const { id, type, created, data } = jsonOf(body);
    if (text(type) === undefined) throw new FaasError("invalid", "type: is missing in the body");
    const seconds = typeof created === "number" ? new Date(created * 1000) : undefined;
    const isTime = seconds !== undefined && !Number.isNaN(seconds.getTime());
    return {
      id: text(id),
      type: `com.stripe.${text(type)}`,
      subject: text(object(object(data).object).id),
      ...(isTime && { time: seconds.toISOString() }),
    };
  },
  slack: ({ headers, body }) => {
    // Slash commands are forms.
    if (!isJsonType(headers["content-type"])) {
      const form = new URLSearchParams(body.toString());
      const id = form.get("trigger_id") ?? undefined;
      return { id, type: "com.slack.command", subject: form.get("team_id") ?? undefined };
    }
    const { type, event, event_id: id, team_id: team } = jsonOf(body);
    return {
      id: text(id),
      type: `com.slack.${text(object(event).type) ?? text(type) ?? "event"}`,
      subject: text(team),
    };
  },
  standard: ({ headers, body }) => {
    const { type, timestamp } = jsonOf(body);
    return {
      id: headers["webhook-id"],
      type: text(type) ?? "com.faaslane.webhook",
      ...(typeof timestamp === "string" && { time: timestamp }),
    };
  },
  hmac: anonymous,
  token: anonymous,
  basic: anonymous,
};

function anonymous({ headers }: WebhookRequest): WebhookContent {
  return { id: text(headers["x-request-id"]), type: "com.faaslane.webhook" };
}

/** As the CloudEvents adapter document has GitHub's events: `com.github.<event>.<action>`. */
function readGithub({ headers, body }: WebhookRequest): WebhookContent | undefined {
  const { "x-github-event": event, "x-github-delivery": id } = headers;
  if (event === undefined) throw new FaasError("invalid", "x-github-event: is missing");
  if (event === "ping") return undefined;
  const payload = jsonOf(body);
  const detail =
    text(payload.action) ?? (event === "create" || event === "delete" ? text(payload.ref_type) : undefined);
  return {
    id,
    type: ["com.github", slug(event), ...(detail === undefined ? [] : [slug(detail)])].join("."),
    source: uri(object(payload.repository).url),
    subject: githubSubject(event, payload),
  };
}

function githubSubject(event: string, payload: Json): string | undefined {
  if (event === "push") return text(payload.compare)?.split("/").at(-1) ?? text(payload.ref);
  if (event === "create" || event === "delete") return text(payload.ref);
  if (event === "status") return text(payload.sha);
  const numbered = [payload.pull_request, payload.issue, payload.discussion].map((each) => text(object(each).number));
  const others = [payload.release, payload.check_run, payload.check_suite, payload.workflow_run, payload.deployment];
  return numbered.find((each) => each !== undefined) ?? others.map((each) => text(object(each).id)).find(Boolean);
}

/** Names of events as a part of a type. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "_")
    .slice(0, 64);
}

function uri(value: unknown): string | undefined {
  const found = text(value);
  return found !== undefined && /^https?:\/\/\S+$/.test(found) ? found : undefined;
}

/** The body as a JSON object. @throws {FaasError} `invalid` */
function jsonOf(body: Buffer): Json {
  try {
    const value = parseBoundedJson(body, { ...BOUNDS, maxBytes: body.length }, "body");
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch (cause) {
    if (cause instanceof FaasError) throw cause;
    throw new FaasError("invalid", "body: is not JSON", { cause });
  }
  throw new FaasError("invalid", "body: must be a JSON object");
}
