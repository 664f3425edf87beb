import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { FaasError } from "../../../../contract/errors.ts";
import type { ClusterAccess } from "./access.ts";

/**
 * What a kubeconfig says, with all its ways to get credentials.
 * @param path of the file; without it, the user's own
 * @throws {FaasError} `invalid` when there is none, or it cannot be read
 */
export function openKubeconfig(path: string | undefined): ClusterAccess {
  const config = new KubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (cause) {
    const where = path === undefined ? "the default places" : path;
    throw new FaasError("invalid", `the kubeconfig in ${where} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return accessOf(config);
}

/** @throws {FaasError} `invalid` when `config` names no cluster */
export function accessOf(config: KubeConfig): ClusterAccess {
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) throw new FaasError("invalid", "the kubeconfig names no cluster");
  return {
    server: new URL(cluster.server),
    credentials: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // Its agent is a new one for every request; only a proxy needs it.
      if (!cluster.proxyUrl) delete options.agent;
      return options;
    },
  };
}
