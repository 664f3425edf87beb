import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { join } from "node:path";
import { FaasError } from "../../contract/errors.ts";

/** Where the API server is, and what requests have to bring. */
export interface ClusterAccess {
  readonly server: URL;
  /** Asked for every request, as tokens change. */
  credentials(): Promise<RequestOptions>;
}

export interface ClusterPlace {
  /** Path of a kubeconfig; wins over everything else. */
  readonly kubeconfig?: string;
  /** Host and port of the API server, as Kubernetes tells every pod; absent outside of a cluster. */
  readonly inCluster?: { readonly host: string; readonly port: number };
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The kubelet renews tokens long before they expire. */
const TOKEN_AGE_MS = 30_000;

/**
 * Without a kubeconfig and outside of a cluster, the user's own kubeconfig is taken.
 * @throws {FaasError} `invalid` when there is nothing to go by
 */
export async function openClusterAccess({ kubeconfig, inCluster }: ClusterPlace): Promise<ClusterAccess> {
  if (kubeconfig === undefined && inCluster) return await openServiceAccount(inCluster);
  // The library takes 80 MB, which a provider in a cluster does without.
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
  now: () => number = Date.now,
): Promise<ClusterAccess> {
  const read = async (name: string) => {
    try {
      return await readFile(join(folder, name), "utf8");
    } catch (cause) {
      throw new FaasError("invalid", `the service account's ${name} cannot be read`, { cause });
    }
  };
  const ca = await read("ca.crt");
  let token = (await read("token")).trim();
  let readAt = now();
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    credentials: async () => {
      if (now() - readAt > TOKEN_AGE_MS) {
        token = (await read("token")).trim();
        readAt = now();
      }
      return { ca, headers: { authorization: `Bearer ${token}` } };
    },
  };
}
