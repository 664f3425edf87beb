import { z } from "zod";
import { atMost, decodeJson } from "../decode.ts";
import { FaasError } from "../errors.ts";
import { isDnsLabel } from "../names.ts";

/** Where a function's own events go: `BROKER`, `NAMESPACE/BROKER`, or `sink/NAME` for a sink of its namespace. */
export const EVENT_SINK = "com.faaslane.events.sink";
/** Attributes that it sets in each of them: a JSON object of texts. */
const EVENT_OVERRIDES = "com.faaslane.events.overrides";

const SINK_VARIABLE = "K_SINK";
const OVERRIDES_VARIABLE = "K_CE_OVERRIDES";
/** Variables of those functions that say where their events go, named as Knative's SinkBinding names them. */
export const SINK_VARIABLES = [SINK_VARIABLE, OVERRIDES_VARIABLE] as const;

/** Before the name of a sink, and in the path where it takes events. */
export const SINK = "sink";

const MAX_OVERRIDES = 50;
const EXTENSION = /^[a-z0-9]{1,20}$/;
const texts = atMost(
  MAX_OVERRIDES,
  z.record(
    z.string().regex(EXTENSION, { error: "must be an attribute's name: at most 20 of a-z and 0-9" }),
    z.string({ error: "must be a text" }),
  ),
);
const overrides = z.union([z.strictObject({ extensions: texts }).transform(({ extensions }) => extensions), texts], {
  error: "must be a JSON object of attributes and their texts",
});

/** A deployment, as far as it says where its events go. */
interface BoundDeployment {
  readonly namespace: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly envVars?: Readonly<Record<string, string>> | undefined;
}

/** The declared sink that a function's events go to, by name in its namespace; undefined for a broker, and for none. */
export function boundSink(annotations: Readonly<Record<string, string>> | undefined): string | undefined {
  const [kind, name = "", ...more] = annotations?.[EVENT_SINK]?.split("/") ?? [];
  return kind === SINK && more.length === 0 && isDnsLabel(name) ? name : undefined;
}

/** Whether a function sends events. */
export function hasSink(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations?.[EVENT_SINK] !== undefined;
}

/**
 * Rules that a deployment breaks which says where its events go.
 * @param gatewayUrl where functions reach the gateway; undefined where nobody knows
 */
export function sinkProblems(deployment: BoundDeployment, gatewayUrl: string | undefined): string[] {
  const { annotations, envVars = {} } = deployment;
  if (!hasSink(annotations)) return [];
  const problems = SINK_VARIABLES.filter((name) => envVars[name] !== undefined).map(
    (name) => `envVars.${name}: is set by the platform, as the annotation ${EVENT_SINK} says where events go`,
  );
  if (gatewayUrl === undefined) {
    problems.push(`annotations.${EVENT_SINK}: the provider does not know its gateway; set its gateway_url`);
  }
  try {
    readSink(deployment);
    readOverrides(deployment);
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    problems.push(error.message);
  }
  return problems;
}

/** The variables of a function that sends events; none for others. What breaks a rule is left out. */
export function sinkVariables(deployment: BoundDeployment, gatewayUrl: string | undefined): Record<string, string> {
  if (gatewayUrl === undefined || sinkProblems(deployment, gatewayUrl).length > 0) return {};
  const path = readSink(deployment);
  if (path === undefined) return {};
  const extensions = readOverrides(deployment);
  return {
    [SINK_VARIABLE]: new URL(path, gatewayUrl.endsWith("/") ? gatewayUrl : `${gatewayUrl}/`).href,
    ...(extensions && { [OVERRIDES_VARIABLE]: JSON.stringify({ extensions }) }),
  };
}

function readSink({ annotations, namespace }: BoundDeployment): string | undefined {
  const text = annotations?.[EVENT_SINK];
  if (text === undefined) return undefined;
  const names = text.split("/", 3);
  const [of = "", name = ""] = names.length === 1 ? [namespace, text] : names;
  if (names.length > 2 || !isDnsLabel(of) || !isDnsLabel(name)) {
    throw new FaasError(
      "invalid",
      `annotations.${EVENT_SINK}: must be BROKER, NAMESPACE/BROKER or sink/NAME, of a-z, 0-9 and -`,
    );
  }
  return of === SINK ? `broker/${namespace}/${SINK}/${name}` : `broker/${of}/${name}`;
}

function readOverrides({ annotations }: BoundDeployment): Record<string, string> | undefined {
  const text = annotations?.[EVENT_OVERRIDES];
  return text === undefined ? undefined : decodeJson(overrides, text, `annotations.${EVENT_OVERRIDES}`);
}
