import { KubeConfig } from "@kubernetes/client-node";
import { FaasError } from "../../contract/errors.ts";

/**
 * Which cluster to talk to, and as whom.
 * @param path of a kubeconfig; without it the service account of the pod that we are in, or the user's own kubeconfig
 * @throws {FaasError} `invalid` when there is none, or it cannot be read
 */
export function loadClusterConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (cause) {
    const where = path === undefined ? "the default places" : path;
    throw new FaasError("invalid", `the kubeconfig in ${where} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return config;
}
