/** Routes that gateway, provider and clients share. */
export const PATHS = {
  functions: "/system/functions",
  function: "/system/function/",
  scale: "/system/scale-function/",
  /** Calls wait for a function: its replicas are to be started before others. */
  expedite: "/system/hurry-function/",
  secrets: "/system/secrets",
  namespaces: "/system/namespaces",
  namespace: "/system/namespace/",
  info: "/system/info",
  /** This list, for programs. */
  openapi: "/system/openapi.json",
  logs: "/system/logs",
  endpoints: "/system/endpoints",
  build: "/system/build",
  /** Domains and paths that lead to functions. */
  routes: "/system/routes",
  /** Removes images that no function uses. */
  prune: "/system/prune",
  scaling: "/system/scaling/",
  alert: "/system/alert",
  queue: "/system/queue",
  deadLetters: "/system/queue/dead-letters",
  /** Calls that have not ended. */
  calls: "/system/queue/calls",
  /** One call with its request, and what was sent in it. */
  call: "/system/queue/call",
  callBody: "/system/queue/call/body",
  /** Sends the callback of a call once more. */
  callCallback: "/system/queue/call/callback",
  brokers: "/system/brokers",
  triggers: "/system/triggers",
  sources: "/system/sources",
  sinks: "/system/sinks",
  flows: "/system/flows",
  flowRuns: "/system/flow-runs",
  /** What became of events. */
  events: "/system/events",
  replays: "/system/replays",
  /** Objects of a cluster that declare brokers, triggers, sources, sinks and flows. */
  eventObjects: "/system/event-objects",
  /** How they are. */
  eventObjectStatus: "/system/event-objects/status",
  /** Which of them are gone. */
  eventObjectsGone: "/system/event-objects/gone",
  /** Replicas tell here that they listen. Not below `/system`, which gateways pass on. */
  announce: "/announce",
  health: "/healthz",
} as const;

/** Header with which a gateway tells the provider who has logged in. */
export const USER_HEADER = "x-faaslane-user";

export const DEFAULT_NAMESPACE = "openfaas-fn";
