import { createHash } from "node:crypto";
import type { V1PodSpec, V1Volume, V1VolumeMount } from "@kubernetes/client-node";
import { stripEnd } from "../../../../contract/strip-end.ts";
import { SECRETS_PATH } from "./names.ts";
import type { SecretFacts } from "./settings.ts";

/** Types of secrets that are for pulling images, and that functions never see. */
export const PULL_TYPES: ReadonlySet<string> = new Set(["kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"]);

export interface SecretParts {
  readonly pull: readonly string[];
  /** Mounted as files. */
  readonly files: readonly string[];
}

/** Sorts a function's secrets into those for pulling its image and those for itself; each is named once, in order. */
export function splitSecrets(names: readonly string[] = [], known: ReadonlyMap<string, SecretFacts>): SecretParts {
  const sorted = [...new Set(names)].sort();
  const isPull = (name: string) => PULL_TYPES.has(known.get(name)?.type ?? "");
  return { pull: sorted.filter(isPull), files: sorted.filter((name) => !isPull(name)) };
}

function volumeName(service: string): string {
  // As OpenFaaS names it; a volume's name is a DNS label, so long function names are cut.
  const suffix = "-projected-secrets";
  return stripEnd(service.slice(0, 63 - suffix.length), "-") + suffix;
}

/**
 * One volume with every key of every secret as a file. Keys are not listed: a key that is added later appears too, and
 * nobody has to read the secret in order to deploy.
 */
export function buildSecretVolume(
  service: string,
  files: readonly string[],
): { readonly volume: V1Volume; readonly mount: V1VolumeMount } | undefined {
  if (files.length === 0) return undefined;
  const name = volumeName(service);
  return {
    volume: { name, projected: { sources: files.map((secret) => ({ secret: { name: secret } })) } },
    mount: { name, mountPath: SECRETS_PATH, readOnly: true },
  };
}

/** Names of the secrets that a pod uses, sorted. */
export function readSecrets({ imagePullSecrets = [], volumes = [] }: V1PodSpec): string[] {
  const pull = imagePullSecrets.flatMap(({ name }) => name ?? []);
  const files = volumes.flatMap(({ projected }) =>
    (projected?.sources ?? []).flatMap(({ secret }) => secret?.name ?? []),
  );
  return [...new Set([...pull, ...files])].sort();
}

/** Short text that changes when one of the secrets does; undefined while no version is known. */
export function secretsVersion(names: readonly string[], known: ReadonlyMap<string, SecretFacts>): string | undefined {
  const versions = names.flatMap((name) => {
    const version = known.get(name)?.version;
    return version === undefined ? [] : [`${name}:${version}`];
  });
  if (versions.length === 0) return undefined;
  return createHash("sha256").update(versions.join("\n")).digest("hex").slice(0, 16);
}

/** Whether a pod's function can know the value of a secret, by a file or a variable. */
export function seesSecrets({ volumes, containers }: V1PodSpec): boolean {
  const mounts = volumes?.some(
    ({ projected, secret }) => Boolean(secret) || projected?.sources?.some((source) => source.secret),
  );
  // The objects of bookmarks have no containers at all.
  const reads = (containers ?? []).some(
    ({ env, envFrom }) => env?.some(({ valueFrom }) => valueFrom?.secretKeyRef) || envFrom?.some((s) => s.secretRef),
  );
  return Boolean(mounts) || reads;
}
