import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { V1Pod } from "@kubernetes/client-node";
import type { BuildEvent } from "../../../../contract/build.ts";
import { FaasError } from "../../../../contract/errors.ts";
import type { Credentials } from "../../../../kit/basic-auth.ts";
import type { Logger } from "../../../../kit/log.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { mergeLogins } from "../../../../oci/docker-config.ts";
import { formatImageReference, isDigest, parseImageReference } from "../../../../oci/image-reference.ts";
import { formatPlatform } from "../../../../oci/manifests.ts";
import { pushFiles } from "../../../../oci/push-files.ts";
import { isLoopbackRegistry } from "../../../../oci/registry-client.ts";
import type { ImageSettings } from "../../images/settings.ts";
import type { StepsBuild, StepsBuilder } from "../../images/steps-builder.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { followPodLog } from "../pods/pod-log.ts";
import { podProblem } from "../resources/problem.ts";
import { BUILD_CONTAINER, buildPodName, renderBuildPod, renderBuildSecret } from "./build-pod.ts";

export interface BuildPodsOptions {
  readonly client: Pick<KubernetesClient, "create" | "get" | "find" | "remove" | "mergePatch" | "stream">;
  /** Where the pods run. */
  readonly namespace: string;
  /** Has buildah. */
  readonly builderImage: string;
  readonly images: ImageSettings;
  /** The platform's own, for a registry that is ours. */
  readonly credentials: Credentials | undefined;
  readonly log: Pick<Logger, "info" | "warn">;
}

const LOOK_MS = 500;
/** A node that pulls the builder's image for the first time needs a while; one that cannot says so. */
const START_MS = 5 * 60_000;
const CLEAN_UP_MS = 30_000;

/** Runs the steps of Dockerfiles in pods of the cluster, one for each build. */
export function openBuildPods(options: BuildPodsOptions): StepsBuilder {
  return { build: (job, signal) => build(options, job, signal) };
}

async function* build(options: BuildPodsOptions, job: StepsBuild, signal: AbortSignal): AsyncGenerator<BuildEvent> {
  const { client, namespace, images } = options;
  const [platform, ...others] = job.platforms;
  if (!platform || others.length > 0) throw new FaasError("invalid", "platforms: a pod builds for one platform");
  const target = parseImageReference(job.image);
  // Nodes may know the registry by another name than pods do.
  const own =
    images.registryUrl && target.registry === images.registry.split("/", 1)[0] ? images.registryUrl : undefined;
  const registry = own?.host ?? target.registry;
  const insecure = own?.protocol === "http:" || isLoopbackRegistry(registry) ? [registry] : [];
  const registryClient = job.clientOf(target.registry);
  const id = randomBytes(8).toString("hex");
  const within = { id, namespace };
  yield progress("handing the context to the cluster");
  const { folder, tmp } = job;
  const context = await pushFiles({ folder, at: "/context", platform, target, client: registryClient, tmp }, signal);
  try {
    await client.create(
      apiPath.secrets(namespace),
      renderBuildSecret(within, await loginsOf(options, registry)),
      signal,
    );
    const pod = renderBuildPod({
      ...within,
      builderImage: options.builderImage,
      target: formatImageReference({ ...target, registry }),
      context: formatImageReference({ registry, repository: target.repository, tag: undefined, digest: context }),
      insecure,
      platform: formatPlatform(platform),
      buildArgs: job.buildArgs,
      timeoutMs: job.timeoutMs,
    });
    const { metadata } = await client.create<V1Pod>(apiPath.pods(namespace), pod, signal);
    // With the pod goes its secret, whatever becomes of us.
    const owner = { apiVersion: "v1", kind: "Pod", name: buildPodName(id), uid: metadata?.uid };
    const secret = apiPath.secret(namespace, buildPodName(id));
    await client.mergePatch(secret, { metadata: { ownerReferences: [owner] } }, signal);
    const digest = yield* follow(options, id, job, signal);
    const image = `${job.image.split("@")[0]}@${digest}`;
    yield { status: "success", image };
  } catch (error) {
    signal.throwIfAborted();
    yield { status: "failed", error: (error as Error).message };
  } finally {
    const late = AbortSignal.timeout(CLEAN_UP_MS);
    const removals = [
      client.remove(apiPath.pod(namespace, buildPodName(id))),
      client.remove(apiPath.secret(namespace, buildPodName(id))),
      registryClient.removeManifest(target.repository, context, late),
    ];
    for (const removed of await Promise.allSettled(removals)) {
      if (removed.status === "rejected" && (removed.reason as { kind?: unknown }).kind !== "notFound") {
        options.log.warn({ err: removed.reason, build: id }, "could not remove what a build has left");
      }
    }
  }
}

/** @returns the digest @throws {Error} saying why there is none */
async function* follow(
  { client, namespace }: BuildPodsOptions,
  id: string,
  { maxOutputBytes, timeoutMs }: StepsBuild,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent, string> {
  const path = apiPath.pod(namespace, buildPodName(id));
  const look = async () => {
    const pod = await client.find<V1Pod>(path, signal);
    if (!pod) throw new Error("the build's pod has been removed");
    return pod;
  };
  yield progress(`running the steps in pod ${buildPodName(id)}`);
  await whenStarted(look, signal);
  let ended: V1Pod | undefined;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const watching = (async () => {
    const until = performance.now() + timeoutMs + CLEAN_UP_MS;
    while (!ended && !stop.aborted) {
      const pod = await look();
      if (endOf(pod) || pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded") ended = pod;
      else if (performance.now() > until) throw new Error("the build has taken too long");
      else await sleep(LOOK_MS, stop);
    }
  })();
  // Awaited below, where the log has ended, which it does when this fails.
  watching.catch(() => over.abort());
  let bytes = 0;
  const log = { name: BUILD_CONTAINER, namespace, instance: buildPodName(id) };
  for await (const { text } of followPodLog(client, log, () => ended !== undefined, stop)) {
    bytes += text.length;
    if (bytes > maxOutputBytes) {
      over.abort();
      throw new Error(`the steps have written more than ${maxOutputBytes} bytes`);
    }
    yield progress(text.replace(/\n$/, ""));
  }
  await watching;
  signal.throwIfAborted();
  const end = ended && endOf(ended);
  const digest = end?.message?.trim() ?? "";
  if (end?.exitCode === 0 && isDigest(digest)) return digest;
  if (ended?.status?.reason === "DeadlineExceeded") throw new Error("the build has taken too long");
  throw new Error(`the steps have failed: ${(ended && podProblem(ended)?.message) ?? "the pod has no digest"}`);
}

async function whenStarted(look: () => Promise<V1Pod>, signal: AbortSignal): Promise<void> {
  const until = performance.now() + START_MS;
  for (;;) {
    const pod = await look();
    const state = pod.status?.containerStatuses?.[0]?.state;
    if (state?.running || state?.terminated || pod.status?.phase === "Failed") return;
    const problem = podProblem(pod);
    if (problem?.lasting) throw new Error(`the build's pod does not start: ${problem.message}`);
    if (performance.now() > until) {
      throw new Error(`the build's pod does not start: ${problem?.message ?? "its node says nothing"}`);
    }
    await sleep(LOOK_MS, signal);
    signal.throwIfAborted();
  }
}

const endOf = ({ status }: V1Pod) => status?.containerStatuses?.[0]?.state?.terminated;

async function loginsOf({ images, credentials }: BuildPodsOptions, registry: string): Promise<string> {
  const { configFile, platformLogin } = images;
  const text = configFile === undefined ? undefined : await readFile(configFile, "utf8");
  const more = new Map(
    platformLogin && credentials
      ? [[registry, { username: credentials.user, password: credentials.password }] as const]
      : [],
  );
  return mergeLogins(text, more);
}

function progress(line: string): BuildEvent {
  return { status: "in_progress", log: [line] };
}
