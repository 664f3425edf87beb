import type { FunctionDeployment } from "../../contract/functions.ts";
import type { StackFunction, StackResources } from "../stack/types.ts";

/** What flags of `deploy` say; they win over the stack file, but for constraints. */
export interface DeployOverrides {
  readonly namespace?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly constraints: readonly string[];
  readonly readOnlyRootFilesystem: boolean;
}

export const NO_OVERRIDES: DeployOverrides = {
  labels: {},
  annotations: {},
  secrets: [],
  constraints: [],
  readOnlyRootFilesystem: false,
};

/** What was worked out for one function. */
export interface DeployFacts {
  /** With its tag. */
  readonly image: string;
  /** All sources merged. */
  readonly environment: Readonly<Record<string, string>>;
  /** `fprocess` of the template. */
  readonly templateProcess?: string | undefined;
}

/** The body that deploys a function: what is empty is left out, but labels and annotations always appear. */
export function buildFunctionDeployment(
  fn: StackFunction,
  { image, environment, templateProcess }: DeployFacts,
  flags: DeployOverrides,
): FunctionDeployment {
  const secrets = [...new Set([...flags.secrets, ...fn.secrets])];
  const constraints = fn.constraints.length > 0 ? fn.constraints : flags.constraints;
  return {
    service: fn.name,
    image,
    ...filled("namespace", flags.namespace || fn.namespace),
    ...filled("envProcess", fn.fprocess || templateProcess),
    ...filled("envVars", environment),
    ...filled("constraints", [...constraints]),
    ...filled("secrets", secrets),
    labels: { ...fn.labels, ...flags.labels },
    annotations: { ...fn.annotations, ...flags.annotations },
    ...filled("limits", resources(fn.limits)),
    ...filled("requests", resources(fn.requests)),
    ...((flags.readOnlyRootFilesystem || fn.readOnlyRootFilesystem) && { readOnlyRootFilesystem: true }),
  };
}

function resources({ memory, cpu }: StackResources): StackResources {
  return { ...filled("memory", memory), ...filled("cpu", cpu) };
}

/** The property, unless its value is missing or empty. */
function filled<K extends string, V extends string | object>(key: K, value: V | undefined): { [P in K]?: V } {
  if (value === undefined || value === "" || (typeof value === "object" && Object.keys(value).length === 0)) return {};
  return { [key]: value } as { [P in K]: V };
}
