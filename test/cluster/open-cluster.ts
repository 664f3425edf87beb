import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openClusterAccess } from "../../provider/backends/kubernetes/client/cluster-access.ts";
import { KubernetesClient } from "../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { apiPath } from "../../provider/backends/kubernetes/client/paths.ts";
import { buildNamespace, isFunctionNamespace } from "../../provider/backends/kubernetes/resources/namespace.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import type { Handover } from "./handover.ts";
import { ClusterProblem } from "./problem.ts";
import { requireReach } from "./reach.ts";
import type { ClusterTestSettings } from "./settings.ts";

export interface OpenCluster {
  readonly handover: Handover;
  /** The last of what gateway and provider have logged. */
  logs(): string;
}

interface Cleanup {
  readonly what: string;
  run(): Promise<void>;
}

const NAMESPACE_GONE_MS = 180_000;
const LOOK_MS = 100;
const LOG_LINES = 40;

/** A gateway and a provider beside a cluster, with namespaces of their own in it. Whatever becomes of it, `close` it. */
export class ClusterStage {
  readonly #settings: ClusterTestSettings;
  readonly #say: (line: string) => void;
  readonly #cleanups: Cleanup[] = [];
  #closed: Promise<string[]> | undefined;

  /** @param say gets lines for a person */
  constructor(settings: ClusterTestSettings, say: (line: string) => void) {
    this.#settings = settings;
    this.#say = say;
  }

  /**
   * @param stopping aborted when somebody wants to stop
   * @throws {ClusterProblem} when the cluster is not there, or cannot be used from here
   */
  async open(stopping: AbortSignal): Promise<OpenCluster> {
    const { kubeconfig, image } = this.#settings;
    const access = await openClusterAccess({ kubeconfig });
    const client = new KubernetesClient(access);
    this.#cleanups.push({ what: "connections", run: async () => client.close() });
    const { gitVersion } = await orProblem(
      client.get<{ gitVersion: string }>("/version"),
      `the cluster at ${access.server.origin} cannot be used`,
    );
    const foreign = await this.#foreignNamespaces(client);
    const namespace = `faaslane-test-${randomBytes(4).toString("hex")}`;
    const otherNamespace = `${namespace}-other`;
    this.#say(`Kubernetes ${gitVersion} at ${access.server.origin}; namespace ${namespace}`);
    if (foreign.length > 0)
      this.#say(`left alone: namespaces ${foreign.join(", ")}, and so are namespaces in the suite`);

    for (const name of [otherNamespace, namespace]) {
      this.#cleanups.push({ what: `namespace ${name}`, run: () => removeNamespace(client, name) });
    }
    stopping.throwIfAborted();
    await orProblem(client.create(apiPath.namespaces, buildNamespace({ name: namespace })), "no namespace can be made");

    const folder = await temporaryFolder();
    this.#cleanups.push({ what: folder.path, run: folder.remove });
    stopping.throwIfAborted();
    const provider = await this.#start("provider", {
      backend: "kubernetes",
      KUBECONFIG: kubeconfig,
      HOME: process.env.HOME ?? "",
      function_namespace: namespace,
      profiles_namespace: namespace,
      cluster_role: String(foreign.length === 0),
      image_pull_policy: "IfNotPresent",
      data_dir: join(folder.path, "provider"),
    });
    stopping.throwIfAborted();
    const gateway = await this.#start("gateway", {
      functions_provider_url: provider.url,
      function_namespace: namespace,
      data_dir: join(folder.path, "gateway"),
      // The suite is about functions on the cluster; nothing is called asynchronously.
      queue: "none",
    });
    stopping.throwIfAborted();
    await requireReach({ client, gatewayUrl: gateway.url, image, namespace, stopping });
    return {
      handover: {
        kubeconfig,
        image,
        namespace,
        gatewayUrl: gateway.url,
        ...(foreign.length === 0 && { otherNamespace }),
      },
      logs: () => [tail("provider", provider), tail("gateway", gateway)].join("\n"),
    };
  }

  /** Takes away all that was made. May be called twice. @returns what could not be taken away, with the reason */
  close(): Promise<string[]> {
    this.#closed ??= (async () => {
      const failures: string[] = [];
      // The last first: the provider would bring back what it misses.
      for (const { what, run } of this.#cleanups.toReversed()) {
        await run().catch((error: Error) => failures.push(`${what}: ${error.message}`));
      }
      return failures;
    })();
    return this.#closed;
  }

  async #start(role: "gateway" | "provider", env: Record<string, string>): Promise<ServerProcess> {
    const started = await startServerProcess(role === "gateway" ? "gateway/process/main.ts" : "provider/main.ts", env);
    this.#cleanups.push({
      what: role,
      run: async () => {
        await started.stop();
      },
    });
    return started;
  }

  /** Where functions of somebody else are, which a provider with a gateway of its own would scale. */
  async #foreignNamespaces(client: KubernetesClient): Promise<string[]> {
    const { items } = await orProblem(
      client.get<{ items: Parameters<typeof isFunctionNamespace>[0][] }>(apiPath.namespaces),
      "namespaces cannot be listed",
    );
    return items.filter(isFunctionNamespace).map(({ metadata }) => metadata?.name ?? "");
  }
}

async function orProblem<T>(work: Promise<T>, what: string): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const { message, cause: inner } = cause as Error;
    const why = inner instanceof Error ? `${message}: ${inner.message}` : message;
    throw new ClusterProblem(`${what}: ${why}`, { cause });
  }
}

async function removeNamespace(client: KubernetesClient, name: string): Promise<void> {
  const path = apiPath.namespace(name);
  if (!(await client.find(path))) return;
  await client.remove(path);
  const isGone = async () => !(await client.find(path));
  await eventually(`namespace ${name} is gone`, isGone, NAMESPACE_GONE_MS, LOOK_MS);
}

function tail(role: string, { output }: ServerProcess): string {
  return [`--- ${role}`, ...output.trimEnd().split("\n").slice(-LOG_LINES)].join("\n");
}
