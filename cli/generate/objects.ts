import type { FunctionDeployment } from "../../contract/functions.ts";
import { CliError } from "../errors.ts";

export const APIS = ["openfaas.com/v1", "serving.knative.dev/v1"] as const;
export type Api = (typeof APIS)[number];

/** @throws {CliError} for any other */
export function parseApi(text: string): Api {
  const api = APIS.find((known) => known === text);
  if (!api) throw new CliError(`--api must be one of ${APIS.join(", ")}, not ${JSON.stringify(text)}`);
  return api;
}

/**
 * The Kubernetes object that a deploy comes to, to be applied instead of it.
 * @param namespace left out when empty
 */
export function buildObject(api: Api, deployment: FunctionDeployment, namespace: string): object {
  return api === "openfaas.com/v1" ? functionObject(deployment, namespace) : knativeService(deployment, namespace);
}

function functionObject(deployment: FunctionDeployment, namespace: string): object {
  const { service: name, image, labels, annotations, limits, requests, constraints, secrets } = deployment;
  return {
    apiVersion: "openfaas.com/v1",
    kind: "Function",
    metadata: { name, ...(namespace && { namespace }) },
    spec: {
      name,
      image,
      ...filled({ environment: environmentOf(deployment), labels: sorted(labels), annotations: sorted(annotations) }),
      ...filled({ limits, requests, constraints, secrets }),
      ...(deployment.readOnlyRootFilesystem && { readOnlyRootFilesystem: true }),
    },
  };
}

/** What Knative has no place for is left out: labels, resources, constraints, the file system's mode. */
function knativeService(deployment: FunctionDeployment, namespace: string): object {
  const { service: name, image, annotations, secrets = [] } = deployment;
  const env = Object.entries(environmentOf(deployment)).map(([key, value]) => ({ name: key, value }));
  const mounts = secrets.map((secret) => ({
    name: secret,
    mountPath: `/var/openfaas/secrets/${secret}`,
    readOnly: true,
  }));
  const volumes = secrets.map((secret) => ({ name: secret, secret: { secretName: secret } }));
  return {
    apiVersion: "serving.knative.dev/v1",
    kind: "Service",
    metadata: { name, ...(namespace && { namespace }), ...filled({ annotations: sorted(annotations) }) },
    spec: {
      template: {
        spec: { containers: [{ image, ...filled({ env, volumeMounts: mounts }) }], ...filled({ volumes }) },
      },
    },
  };
}

/** The objects have no field for the command: it is a variable. One of that name in the stack file wins, as ever. */
function environmentOf({ envProcess, envVars }: FunctionDeployment): Record<string, string> {
  return sorted({ ...(envProcess && { fprocess: envProcess }), ...envVars });
}

function sorted(values: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function filled<T extends Readonly<Record<string, object | undefined>>>(fields: T): Partial<T> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && Object.keys(value).length > 0);
  return Object.fromEntries(given) as Partial<T>;
}
