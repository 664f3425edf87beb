/** Where we answer otherwise than OpenFaaS, on purpose. */
export interface Difference {
  /** What the original does: its status, or in words where the status is the same. */
  readonly original: number | string;
  readonly why: string;
}

/** By the name of the row. */
export type Differences = Readonly<Record<string, Difference>>;

const unworded = (why = "an error says what is wrong"): Difference => ({ original: "has no body", why });
const SMUGGLING = "a message that two parsers read differently is how requests are smuggled";
const RAW = "the path is the function's: it is passed on as it came";
const OWN_MISTAKE = "what the client left out or got wrong is the client's error";
const UNTYPED: Difference = {
  original: "takes the request's type, or text/plain",
  why: "what answers are is told by their content, not by who asks",
};

export const GATEWAY: Differences = {
  "address of the caller": {
    original: "adds the caller's port",
    why: "X-Forwarded-For is a list of addresses, and parsers take a port for part of one",
  },
  "encoded slash": { original: "decodes it", why: RAW },
  "encoded question mark": { original: "decodes it", why: RAW },
  "encoded percent": { original: "closes the connection", why: RAW },
  "method CONNECT": { original: "gives it a call id", why: "a refused tunnel is no call" },
  "own X-Call-Id": { original: "answers with another", why: "callers look for the id that they chose" },
  "own X-Start-Time": { original: "sends both", why: "the time is the gateway's to tell" },
  "own X-Forwarded-For and -Host": {
    original: "passes the caller's list on as it is",
    why: "each proxy adds the address that it saw, so that the last of the list can be trusted",
  },
  "hop-by-hop headers": {
    original: "passes on what Connection names",
    why: "RFC 9110 §7.6.1: such fields end at the proxy",
  },
  "function without content type": UNTYPED,
  "function without content type, POST text/css": UNTYPED,
  trailers: { original: "drops the announcement", why: "trailers are passed on, so they are announced" },
  "function slower than the upstream timeout": { original: 502, why: "a timeout says that it is one, in words" },
  "length and chunked": { original: 200, why: `${SMUGGLING} (RFC 9112 §6.1)` },
  "bare LF": { original: 200, why: `${SMUGGLING} (RFC 9112 §2.2)` },
  "no host": { original: "names the missing header", why: "Node's parser answers by itself" },
  "async known": { original: 404, why: "the original had no queue when it was asked" },
  "async unknown": { original: "knows no such route", why: "the original had no queue when it was asked" },
  "async GET": {
    original: "knows no such route",
    why: "GET asks for a call by its id, and no call is named like the function",
  },
  ui: { original: 404, why: "what is behind the login asks for it" },
  "list of another namespace": { original: "allows one namespace", why: "there can be several" },
  "create, existing": { original: 500, why: "a name that is taken is a conflict" },
  "delete, empty body": unworded(),
  "scale to 0": { original: 202, why: "the row before deleted the function; the original had not got round to it" },
  "scale unknown": { original: 500, why: "what does not exist is no fault of the server" },
  "secret create again": unworded(),
  "secret without name": { original: 500, why: OWN_MISTAKE },
  "secret bad name": unworded(),
  "secret update unknown": unworded(),
  "secret delete unknown": unworded(),
  "logs without name": { original: 500, why: OWN_MISTAKE },
  "logs bad tail": { original: 500, why: "the provider's own status and words are passed on" },
  "logs bad since": { original: 500, why: "the provider's own status and words are passed on" },
};

const KEPT: Difference = {
  original: "forgets variables, constraints and readOnlyRootFilesystem",
  why: "who reads a function's status to deploy it again would lose them",
};

export const CLI: Differences = {
  list: KEPT,
  "list verbose": KEPT,
  describe: KEPT,
  "describe, 2": KEPT,
  "secret create, exists": unworded(),
  "secret remove unknown": unworded(),
  "deploy into unknown namespace": { original: "allows one namespace", why: "there can be several" },
  "logs of an unknown function": { original: 500, why: "what does not exist is no fault of the server" },
};

const LOOKS: Difference = {
  original: "asks nothing before",
  why: "asynchronous calls that wait for the function would be lost without a word",
};

/** Of our client from theirs, by command. */
export const CLIENT: Differences = {
  describe: {
    original: "does not ask which versions there are",
    why: "a split of calls is worth a line; a provider that knows none is asked once and says so",
  },
  remove: LOOKS,
  "remove unknown": LOOKS,
};

const BY_US: Difference = {
  original: "does not say that the answer is its own",
  why: "callers know by X-OpenFaaS-Internal that the function has not answered",
};
/** By row, or by setting where the watchdog does not serve; a status stands for an exit code there. */
export const WATCHDOG: Differences = {
  "classic, cat: ready": {
    original: "starts the function for the probe",
    why: "a watchdog that forks is ready as soon as it listens",
  },
  "classic, exec_timeout, sleeps: post": BY_US,
  "classic, fprocess missing program: post": BY_US,
  "of, http to reflect: post with headers, path, query": {
    original: "passes on what Connection names, and drops the length",
    why: "RFC 9110 §7.6.1: such fields end at the proxy; a known length stays known",
  },
  "of, http to reflect: trailers": {
    original: "drops the announcement",
    why: "trailers are passed on, so they are announced",
  },
  "of, http to reflect: no content type": {
    original: "guesses text/plain",
    why: "guessing a type for another's content opens holes",
  },
  "of, http, ready_path: ready": {
    original: "sends the function its own address as Host",
    why: "the probe is passed on as it came",
  },
  "of, streaming, exec_timeout, sleeps: post": {
    original: 200,
    why: "a call that was killed is no success: 504 while nothing has been sent, a cut connection after",
  },
  "of, serializing, exec_timeout, sleeps: post": BY_US,
};

/** Where an object of ours differs, in the order of the fields' paths: `-` what the original has, `+` what ours has. */
export interface ObjectDifference {
  readonly lines: readonly (string | RegExp)[];
  readonly why: string;
}

const UNCHANGED = "tells that a deploy changes nothing";
const TOOLS: ObjectDifference = {
  lines: [
    '+ .metadata.labels.app.kubernetes.io/component = "function"',
    '+ .metadata.labels.app.kubernetes.io/managed-by = "faaslane"',
    '+ .metadata.labels.app.kubernetes.io/name = "shout"',
  ],
  why: "tools for Kubernetes look for these labels",
};
const POD = ".spec.template.spec";
const CONTAINER = `${POD}.containers[shout]`;
const UNPRIVILEGED = "a function gets no rights that it does not ask for";
const SPREAD = `${POD}.topologySpreadConstraints`;
const spread = (index: number, key: string): readonly string[] => [
  `+ ${SPREAD}[${index}].labelSelector.matchLabels.faas_function = "shout"`,
  `+ ${SPREAD}[${index}].maxSkew = 1`,
  `+ ${SPREAD}[${index}].topologyKey = "${key}"`,
  `+ ${SPREAD}[${index}].whenUnsatisfiable = "ScheduleAnyway"`,
];
const SECRET_ITEM = `${POD}.volumes[shout-projected-secrets].projected.sources[0].secret.items[0]`;

export const DEPLOYMENT: readonly ObjectDifference[] = [
  { lines: [/^\+ \.metadata\.annotations\.com\.faaslane\.hash = "[0-9a-f]{16}"$/], why: UNCHANGED },
  TOOLS,
  {
    lines: ["- .spec.revisionHistoryLimit = 10", "+ .spec.revisionHistoryLimit = 3"],
    why: "thousands of functions times ten old ReplicaSets is too many objects",
  },
  {
    lines: ["- .spec.strategy.rollingUpdate.maxSurge = 1", '+ .spec.strategy.rollingUpdate.maxSurge = "25%"'],
    why: "a large function is replaced by the quarter, not one by one",
  },
  {
    lines: [/^\+ \.spec\.template\.metadata\.annotations\.com\.faaslane\.secrets = "[0-9a-f]{16}"$/],
    why: "a deploy after a secret has changed starts new pods",
  },
  { lines: ['- .spec.template.metadata.name = "shout"'], why: "Kubernetes ignores the name of a pod template" },
  { lines: [`+ ${POD}.automountServiceAccountToken = false`], why: UNPRIVILEGED },
  {
    lines: [
      `+ ${CONTAINER}.env[OPENFAAS_NAMESPACE].name = "OPENFAAS_NAMESPACE"`,
      `+ ${CONTAINER}.env[OPENFAAS_NAMESPACE].value = "openfaas-fn"`,
      `+ ${CONTAINER}.env[OPENFAAS_NAME].name = "OPENFAAS_NAME"`,
      `+ ${CONTAINER}.env[OPENFAAS_NAME].value = "shout"`,
    ],
    why: "a function knows its name, as with OpenFaaS Pro",
  },
  {
    lines: [
      `- ${CONTAINER}.readinessProbe.initialDelaySeconds = 2`,
      `+ ${CONTAINER}.readinessProbe.initialDelaySeconds = 0`,
    ],
    why: "a pod is asked at once, so that it is ready as soon as it answers",
  },
  {
    lines: [
      `+ ${CONTAINER}.securityContext.allowPrivilegeEscalation = false`,
      `+ ${CONTAINER}.securityContext.capabilities.drop[0] = "ALL"`,
    ],
    why: UNPRIVILEGED,
  },
  {
    lines: [
      `- ${CONTAINER}.terminationMessagePolicy = "File"`,
      `+ ${CONTAINER}.terminationMessagePolicy = "FallbackToLogsOnError"`,
    ],
    why: "the status of a pod says what its process printed last",
  },
  { lines: [`+ ${POD}.enableServiceLinks = false`], why: "a variable for each Service slows the start of processes" },
  {
    lines: [
      `+ ${POD}.securityContext.runAsNonRoot = true`,
      `+ ${POD}.securityContext.runAsUser = 12000`,
      `+ ${POD}.securityContext.seccompProfile.type = "RuntimeDefault"`,
    ],
    why: UNPRIVILEGED,
  },
  {
    lines: [`- ${POD}.terminationGracePeriodSeconds = 30`, `+ ${POD}.terminationGracePeriodSeconds = 23`],
    why: "twice the function's write_timeout of 10 s, and a margin",
  },
  {
    lines: [...spread(0, "kubernetes.io/hostname"), ...spread(1, "topology.kubernetes.io/zone")],
    why: "replicas outlive a node and a zone",
  },
  {
    lines: [`- ${SECRET_ITEM}.key = "api-key"`, `- ${SECRET_ITEM}.path = "api-key"`],
    why: "every key is a file without being named, so that nobody has to read the secret in order to deploy",
  },
];

export const SERVICE: readonly ObjectDifference[] = [
  { lines: [/^\+ \.metadata\.annotations\.com\.faaslane\.hash = /], why: UNCHANGED },
  TOOLS,
  { lines: ['+ .metadata.labels.faas_function = "shout"'], why: "the Services of functions can be listed by it" },
];
