import { createHash } from "node:crypto";
import type { FunctionVersion, VersionContent } from "../../contract/versions/function-versions.ts";
import type { ResolvedDeployment } from "../backends/backend.ts";

type Strings = Readonly<Record<string, string>>;

/** Annotations that change what a replica is or how it is judged; all others are the function's. */
const OF_THE_VERSION =
  /^com\.openfaas\.((health|ready)\.http\.|(profile|serviceaccount)$)|^com\.faaslane\.(network|secrets\.revision|events\.(sink|overrides))$/;
const SOURCES = ["com.faaslane.source", "org.opencontainers.image.source"] as const;

function split(annotations: Strings = {}): { readonly version: Strings; readonly others: Strings } {
  const entries = Object.entries(annotations);
  return {
    version: Object.fromEntries(entries.filter(([name]) => OF_THE_VERSION.test(name))),
    others: Object.fromEntries(entries.filter(([name]) => !OF_THE_VERSION.test(name))),
  };
}

/** Values without those that say nothing, keys in order. */
function tidy(value: unknown): unknown {
  if (Array.isArray(value)) return value.length > 0 ? value : undefined;
  if (typeof value !== "object" || value === null) return value === "" || value === false ? undefined : value;
  const entries = Object.entries(value)
    .map(([key, each]) => [key, each === undefined || each === null ? undefined : each] as const)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** What of a deployment makes a version. */
export function contentOf(deployment: ResolvedDeployment): VersionContent {
  const { image, digest, envProcess, envVars, constraints, secrets, limits, requests } = deployment;
  const { readOnlyRootFilesystem, annotations } = deployment;
  const optional = {
    digest,
    envProcess,
    envVars,
    constraints,
    secrets: secrets && [...new Set(secrets)].sort(),
    limits: withoutEmpty(limits),
    requests: withoutEmpty(requests),
    readOnlyRootFilesystem,
    annotations: split(annotations).version,
  };
  const given = Object.entries(optional)
    .map(([field, value]) => [field, tidy(value)] as const)
    .filter(([, value]) => value !== undefined);
  return { image, ...Object.fromEntries(given) };
}

function withoutEmpty(resources: VersionContent["limits"]): VersionContent["limits"] {
  if (!resources) return undefined;
  return Object.fromEntries(Object.entries(resources).filter(([, text]) => text !== undefined && text !== ""));
}

/** Tells contents apart, whatever order their fields came in. The image is for {@link sameContent} to compare. */
function keyOf(content: VersionContent): string {
  const { image: _image, digest: _digest, ...rest } = content;
  const fields = Object.fromEntries(Object.entries(rest).map(([field, value]) => [field, tidy(value)]));
  return createHash("sha256")
    .update(JSON.stringify(tidy(fields) ?? {}))
    .digest("hex");
}

/** Whether both run the same: the same image by digest, or by name where a digest is not known, and the same settings. */
export function sameContent(a: VersionContent, b: VersionContent): boolean {
  const sameImage = a.digest !== undefined && b.digest !== undefined ? a.digest === b.digest : a.image === b.image;
  return sameImage && keyOf(a) === keyOf(b);
}

/** Where its code comes from, if its labels or annotations say. */
export function sourceOf({ labels = {}, annotations = {} }: ResolvedDeployment): string | undefined {
  return SOURCES.map((name) => labels[name] ?? annotations[name]).find((text) => text !== undefined && text !== "");
}

/**
 * A deployment of `version` with all else as the function has it.
 * @param present as the function was last deployed
 * @param name its own, or that of a version beside it
 */
export function deploymentOf(
  present: ResolvedDeployment,
  { version, content }: Pick<FunctionVersion, "version" | "content">,
  name = present.service,
): ResolvedDeployment {
  const { annotations, ...runs } = content;
  const all = { ...split(present.annotations).others, ...annotations };
  return {
    service: name,
    namespace: present.namespace,
    ...runs,
    version,
    ...(present.labels && { labels: present.labels }),
    ...(Object.keys(all).length > 0 && { annotations: all }),
  };
}

/** The annotations of a version beside the function's own: its settings where they are the version's, else the function's. */
export function annotationsOf(present: Strings, content: VersionContent): Record<string, string> {
  return { ...split(present).others, ...content.annotations };
}
