import type { FunctionRef, FunctionStatus } from "../../contract/functions.ts";
import type { FunctionVersions, VersionContent } from "../../contract/versions/function-versions.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";

/** The version that clients of one version are shown. */
export function newestOf({ rollout, latest }: FunctionVersions): string {
  return rollout && isUnderWay(rollout) ? rollout.to : latest;
}

export function contentNamed({ versions }: FunctionVersions, wanted: string): VersionContent | undefined {
  return versions.find(({ version }) => version === wanted)?.content;
}

/** The status of a function as if it ran `content`. */
export function withContent(status: FunctionStatus, content: VersionContent | undefined): FunctionStatus {
  if (!content) return status;
  const { digest: _digest, annotations, ...runs } = content;
  const { envProcess: _p, envVars: _e, constraints: _c, secrets: _s, limits: _l, requests: _r, ...rest } = status;
  const { readOnlyRootFilesystem: _o, imageBytes: _b, ...shown } = rest;
  return { ...shown, ...runs, annotations: { ...shown.annotations, ...annotations } };
}

/** Of a version of which nothing runs. */
export function sleepingStatus(ref: FunctionRef, own: FunctionStatus, content: VersionContent): FunctionStatus {
  const { replicas: _r, availableReplicas: _a, usage: _u, problem: _p, ...shown } = withContent(own, content);
  return { ...shown, name: ref.name };
}
