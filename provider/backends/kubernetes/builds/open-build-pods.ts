import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../../../contract/errors.ts";
import type { Credentials } from "../../../../kit/basic-auth.ts";
import type { Logger } from "../../../../kit/log.ts";
import { StartError } from "../../../../kit/process.ts";
import type { BuildPodSettings, ImageSettings } from "../../images/settings.ts";
import type { StepsBuilder } from "../../images/steps-builder.ts";
import { type ClusterLocation, openClusterAccess, SERVICE_ACCOUNT } from "../client/cluster-access.ts";
import { KubernetesClient } from "../client/kubernetes-client.ts";
import { openBuildPods } from "./build-pods.ts";

export interface BuildPodsAt {
  readonly cluster: ClusterLocation;
  readonly settings: BuildPodSettings;
  readonly images: ImageSettings;
  /** The platform's own, for a registry that is ours. */
  readonly credentials: Credentials | undefined;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** @throws {StartError} without a cluster, or outside of one without a namespace */
export async function openBuildPodsAt(at: BuildPodsAt): Promise<StepsBuilder & { close(): void }> {
  const { cluster, settings, images, credentials, log } = at;
  const { builderImage } = settings;
  const namespace = settings.namespace ?? (await ownNamespace());
  try {
    const client = new KubernetesClient(await openClusterAccess(cluster));
    const pods = openBuildPods({ client, namespace, builderImage, images, credentials, log });
    return { ...pods, close: () => client.close() };
  } catch (cause) {
    if (cause instanceof FaasError) throw new StartError(`build_pod_image: ${cause.message}`, { cause });
    throw cause;
  }
}

async function ownNamespace(): Promise<string> {
  try {
    return (await readFile(join(SERVICE_ACCOUNT, "namespace"), "utf8")).trim();
  } catch (cause) {
    throw new StartError("build_pod_namespace: is required outside of a cluster", { cause });
  }
}
