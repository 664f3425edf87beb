import { join } from "node:path";
import type { EnvReader } from "../../../../kit/env.ts";
import { parsePort, parseText } from "../../../../kit/parse.ts";
import type { ClusterAccess } from "./access.ts";
import { reloadingFile } from "./reloading-file.ts";

export interface ClusterLocation {
  /** Path of a kubeconfig; wins over everything else. */
  readonly kubeconfig?: string;
  /** Host and port of the API server, as Kubernetes tells every pod; absent outside of a cluster. */
  readonly inCluster?: { readonly host: string; readonly port: number };
}

export const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** `KUBECONFIG`, and what Kubernetes tells every pod. */
export function readClusterLocation(read: EnvReader): ClusterLocation {
  const kubeconfig = read.optional("KUBECONFIG", parseText);
  const host = read.optional("KUBERNETES_SERVICE_HOST", parseText);
  const port = read.optional("KUBERNETES_SERVICE_PORT", parsePort) ?? 443;
  return { ...(kubeconfig !== undefined && { kubeconfig }), ...(host !== undefined && { inCluster: { host, port } }) };
}

/**
 * Without a kubeconfig and outside of a cluster, the user's own kubeconfig is taken.
 * @throws {FaasError} `invalid` when there is nothing to go by
 */
export async function openClusterAccess({ kubeconfig, inCluster }: ClusterLocation): Promise<ClusterAccess> {
  if (kubeconfig === undefined && inCluster) return await openServiceAccount(inCluster);
  if (kubeconfig !== undefined) {
    const { openPlainKubeconfig } = await import("./plain-kubeconfig.ts");
    const plain = await openPlainKubeconfig(kubeconfig);
    if (plain) return plain;
  }
  // The library takes 30 MB, which most do without.
  const { openKubeconfig } = await import("./kubeconfig.ts");
  return openKubeconfig(kubeconfig);
}

/**
 * As the service account of the pod that we are in.
 * @param folder where the kubelet keeps its token and the cluster's certificate
 */
export async function openServiceAccount(
  { host, port }: { readonly host: string; readonly port: number },
  folder = SERVICE_ACCOUNT,
  now: () => number = () => performance.now(),
): Promise<ClusterAccess> {
  const ca = reloadingFile(join(folder, "ca.crt"), "the service account's ca.crt", now);
  const token = reloadingFile(join(folder, "token"), "the service account's token", now);
  await Promise.all([ca(), token()]);
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    credentials: async () => ({ ca: await ca(), headers: { authorization: `Bearer ${(await token()).trim()}` } }),
  };
}
