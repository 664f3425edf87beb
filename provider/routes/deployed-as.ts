import type { FunctionStatus } from "../../contract/functions.ts";
import type { ResolvedDeployment } from "../backends/backend.ts";

/** The deployment that a function's status tells of. */
export function deployedAs(status: FunctionStatus, namespace: string): ResolvedDeployment {
  const { name, image, envProcess, envVars, constraints, secrets, labels, annotations } = status;
  const { limits, requests, readOnlyRootFilesystem } = status;
  return {
    service: name,
    image,
    namespace,
    envProcess,
    envVars,
    constraints,
    secrets,
    labels,
    annotations,
    limits,
    requests,
    readOnlyRootFilesystem,
  };
}
