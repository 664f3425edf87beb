import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { createLogger } from "../../../kit/log.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { accessOf } from "../../../provider/backends/kubernetes/client/kubeconfig.ts";
import { openKubernetesBackend } from "../../../provider/backends/kubernetes/kubernetes-backend.ts";
import type { OperatorSettings } from "../../../provider/backends/kubernetes/resources/read-settings.ts";
import type { RouteObjectSettings } from "../../../provider/backends/kubernetes/resources/route-object.ts";
import { DEFAULT_SETTINGS, type DigestRule } from "../../../provider/backends/kubernetes/resources/settings.ts";
import type { ImageSpec } from "../../support/kube/kubelet/process-runtime.ts";
import type { KubeServer } from "../../support/kube/server.ts";

export const NAMESPACE = "openfaas-fn";

/** A function in its watchdog's process, which serves on for a moment when told to go: snapshots are a little late. */
export function inProcess(body: string): ImageSpec {
  return {
    env: { mode: "inproc", inproc_handler: "./index.mjs", healthcheck_interval: "200ms" },
    files: { "index.mjs": body },
  };
}

export interface BackendUnderTest {
  readonly clusterRole?: boolean;
  readonly announceUrl?: URL;
  readonly imageDigests?: DigestRule;
  /** Absent: none are made. */
  readonly routeObjects?: RouteObjectSettings;
  /** Absent: none. */
  readonly operator?: OperatorSettings;
}

export function openBackend(
  kube: KubeServer,
  { clusterRole = true, announceUrl, operator, routeObjects, imageDigests = "versions" }: BackendUnderTest = {},
): Backend {
  const config = new KubeConfig();
  config.loadFromString(kube.kubeconfig());
  return openKubernetesBackend({
    access: accessOf(config),
    settings: {
      resources: DEFAULT_SETTINGS,
      clusterRole,
      profilesNamespace: "openfaas",
      announcePort: 0,
      imageDigests,
      ...(announceUrl && { announceUrl }),
      ...(operator && { operator }),
      ...(routeObjects && { routeObjects }),
    },
    defaultNamespace: NAMESPACE,
    version: { sha: "", release: "test" },
    log: createLogger("silent"),
  });
}

/** A file that leads to `kube`. */
export async function writeKubeconfig(kube: KubeServer, folder: string): Promise<string> {
  const path = join(folder, "kubeconfig");
  await writeFile(path, kube.kubeconfig(), { mode: 0o600 });
  return path;
}
