import type { FunctionStatus } from "../../contract/functions.ts";
import type { KubernetesClient } from "../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { apiPath } from "../../provider/backends/kubernetes/client/paths.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { ClusterProblem } from "./problem.ts";

export interface ReachOptions {
  readonly client: Pick<KubernetesClient, "get">;
  readonly gatewayUrl: string;
  readonly image: string;
  readonly namespace: string;
  readonly stopping: AbortSignal;
}

const POD_START_MS = 180_000;
/** For a node that has to be added first; not for an image that is not there. */
const PROBLEM_MS = 30_000;
const LOOK_MS = 100;
const ANSWER_MS = 5_000;
const FUNCTION_PORT = 8080;
const SERVICE = "reach";

/**
 * Runs one function for a moment: gateways call pods at their own addresses, so this machine needs a way there.
 * @throws {ClusterProblem} when there is none, or the image does not start
 */
export async function requireReach(options: ReachOptions): Promise<void> {
  const { gatewayUrl, image, stopping: signal } = options;
  const send = async (method: string, body: unknown) =>
    fetch(`${gatewayUrl}/system/functions`, { method, ...jsonBody(body), signal });
  const answer = await send("POST", { service: SERVICE, image, envProcess: "cat", envVars: { mode: "streaming" } });
  if (!answer.ok) throw new ClusterProblem(`the first deploy was refused: ${await answer.text()}`);
  const ip = await startedAt(options);
  await askWatchdog(ip).catch((cause: Error) => {
    throw new ClusterProblem(
      `the pod at ${ip}:${FUNCTION_PORT} is Ready but cannot be reached from here (${cause.message}).\n` +
        "Gateways call pods directly: run the suite on a node of the cluster (k3s, kubeadm), or on a machine with a route\n" +
        "to its pod network: for kind, on its host, ip route add <pod network of a node> via <address of the node>",
      { cause },
    );
  });
  await send("DELETE", { functionName: SERVICE });
}

type Start = { readonly kind: "started"; readonly ip: string } | { readonly kind: "failed"; readonly why: string };

/** Where the function's pod is, once the kubelet calls it Ready. @throws {ClusterProblem} when it does not come up */
async function startedAt({ client, gatewayUrl, image, namespace, stopping }: ReachOptions): Promise<string> {
  let troubledSince: number | undefined;
  const look = async (): Promise<Start | undefined> => {
    if (stopping.aborted) return { kind: "failed", why: "stopped" };
    const response = await fetch(`${gatewayUrl}/system/function/${SERVICE}`);
    const { problem } = (await response.json()) as FunctionStatus;
    troubledSince = problem ? (troubledSince ?? Date.now()) : undefined;
    if (problem && Date.now() - (troubledSince ?? 0) > PROBLEM_MS) return { kind: "failed", why: problem };
    const ip = await readyPodIp(client, namespace);
    return ip === undefined ? undefined : { kind: "started", ip };
  };
  const start = await eventually(`${image} starts`, look, POD_START_MS, LOOK_MS).catch((cause: Error) => {
    throw new ClusterProblem(cause.message, { cause });
  });
  if (start.kind === "failed") throw new ClusterProblem(`${image} does not start: ${start.why}`);
  return start.ip;
}

interface PodSeen {
  readonly status?: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

async function readyPodIp(client: ReachOptions["client"], namespace: string): Promise<string | undefined> {
  const query = { labelSelector: `faas_function=${SERVICE}` };
  const { items } = await client.get<{ items: PodSeen[] }>(apiPath.pods(namespace), query);
  const isReady = ({ status }: PodSeen) => status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
  return items.find(isReady)?.status?.podIP;
}

/** A connection alone says little: some networks accept one to any address. */
async function askWatchdog(ip: string): Promise<void> {
  const host = ip.includes(":") ? `[${ip}]` : ip;
  const signal = AbortSignal.timeout(ANSWER_MS);
  const { status } = await fetch(`http://${host}:${FUNCTION_PORT}/_/health`, { signal }).catch((error: Error) => {
    throw error.cause instanceof Error ? error.cause : error;
  });
  if (status !== 200) throw new Error(`somebody answered ${status}`);
}
