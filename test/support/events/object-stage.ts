import { join } from "node:path";
import { type DeclaredKind, OBJECT_KINDS } from "../../../contract/events/event-object.ts";
import { buildCrds } from "../../../provider/backends/kubernetes/resources/crds.ts";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { ProviderAccount } from "../../provider/kubernetes/account.ts";
import { inProcess, NAMESPACE, writeKubeconfig } from "../../provider/kubernetes/support.ts";
import { eventually } from "../eventually.ts";
import { jsonBody } from "../json-body.ts";
import { ProcessRuntime } from "../kube/kubelet/process-runtime.ts";
import { KubeServer } from "../kube/server.ts";
import type { Fields } from "../kube/types.ts";
import { temporaryFolder } from "../platform.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";

/** Remembers the types and subjects of events, and tells them to whoever asks by GET. */
const RECORDER = `
const seen = [];
export default (req, res) => {
  if (req.method === "GET") return res.setHeader("content-type", "application/json").end(JSON.stringify(seen));
  req.resume().on("end", () => {
    seen.push(req.headers["ce-type"] + " " + (req.headers["ce-subject"] ?? ""));
    res.end();
  });
};`;

const WITHIN_MS = 20_000;

/** A cluster with the chart's kinds, a provider, and whatever else a test starts beside them. */
export class ObjectStage {
  readonly kube: KubeServer;
  readonly client: KubeClient;
  readonly account: ProviderAccount;
  readonly folder: string;
  provider: ServerProcess;
  readonly #kubeconfig: string;
  readonly #ends: (() => Promise<unknown>)[];

  private constructor(
    kube: KubeServer,
    account: ProviderAccount,
    folder: string,
    kubeconfig: string,
    provider: ServerProcess,
    ends: (() => Promise<unknown>)[],
  ) {
    this.kube = kube;
    this.client = new KubeClient(kube);
    this.account = account;
    this.folder = folder;
    this.#kubeconfig = kubeconfig;
    this.provider = provider;
    this.#ends = ends;
  }

  static async open(): Promise<ObjectStage> {
    const folder = await temporaryFolder();
    const ends: (() => Promise<unknown>)[] = [() => folder.remove()];
    const account = new ProviderAccount({ clusterRole: false });
    const runtime = await ProcessRuntime.open({ "recorder:1": inProcess(RECORDER) });
    const kube = await KubeServer.open({ runtime, account, crds: buildCrds() as unknown as Fields[] });
    ends.push(() => kube.close());
    const kubeconfig = await writeKubeconfig(kube, folder.path);
    const provider = await startProvider(kubeconfig, folder.path);
    return new ObjectStage(kube, account, folder.path, kubeconfig, provider, ends);
  }

  /** A gateway with events in a file of its own, unless `env` says otherwise. */
  async gateway(name: string, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const gateway = await startServerProcess("gateway/process/main.ts", {
      functions_provider_url: this.provider.url,
      data_dir: join(this.folder, name),
      ...env,
    });
    this.#ends.push(() => gateway.stop());
    return gateway;
  }

  /** The same provider once more, on its port. */
  async restartProvider(): Promise<void> {
    const { port } = new URL(this.provider.url);
    this.provider = await startProvider(this.#kubeconfig, this.folder, port);
  }

  pathOf(kind: DeclaredKind, name = ""): string {
    const plural = `/apis/openfaas.com/v1/namespaces/${NAMESPACE}/${kind}s`;
    return name === "" ? plural : `${plural}/${name}`;
  }

  async create(kind: DeclaredKind, name: string, spec: object): Promise<void> {
    const metadata = { name, namespace: NAMESPACE };
    await this.client.create(this.pathOf(kind), {
      apiVersion: "openfaas.com/v1",
      kind: OBJECT_KINDS[kind],
      metadata,
      spec,
    });
  }

  /** A function that remembers its events. */
  async deployRecorder(gateway: ServerProcess, service: string): Promise<void> {
    const deployed = { method: "POST", ...jsonBody({ service, image: "recorder:1" }) };
    const { status } = await fetch(`${gateway.url}/system/functions`, deployed);
    if (status !== 202) throw new Error(`the function was not deployed: ${status}`);
    const isThere = async () => (await fetch(`${gateway.url}/function/${service}`)).status === 200;
    await eventually(`${service} answers`, isThere, WITHIN_MS);
  }

  /** Waits until a function has seen an event of which this is the type and subject. */
  async whenSeen(gateway: ServerProcess, service: string, event: string | RegExp): Promise<void> {
    await eventually(
      `${service} has seen ${event}`,
      async () =>
        (await this.seen(gateway, service)).some((one) => (event instanceof RegExp ? event.test(one) : one === event)),
      WITHIN_MS,
    );
  }

  async seen(gateway: ServerProcess, service: string): Promise<string[]> {
    const response = await fetch(`${gateway.url}/function/${service}`);
    return response.status === 200 ? ((await response.json()) as string[]) : [];
  }

  /** @returns the status code */
  async send(gateway: ServerProcess, broker: string, type: string, subject: string): Promise<number> {
    const headers = { "ce-specversion": "1.0", "ce-id": `${type}-${subject}`, "ce-source": "/test", "ce-type": type };
    const init = { method: "POST", headers: { ...headers, "ce-subject": subject }, body: "{}" };
    return (await fetch(`${gateway.url}/broker/${NAMESPACE}/${broker}`, init)).status;
  }

  /** Waits for a condition of an object. */
  async condition(kind: DeclaredKind, name: string, wanted: Answer, type = "Ready"): Promise<Answer> {
    let last: Answer;
    try {
      return await eventually(
        `${type} of ${kind} ${name}`,
        async () => {
          const { metadata, status } = await this.client.get(this.pathOf(kind, name));
          last = status;
          if (status?.observedGeneration !== metadata.generation) return undefined;
          const condition = status.conditions.find((each: Answer) => each.type === type);
          const fits = Object.entries(wanted).every(([field, value]) => condition?.[field] === value);
          return fits ? condition : undefined;
        },
        WITHIN_MS,
      );
    } catch (cause) {
      throw new Error(`${(cause as Error).message}: it is ${JSON.stringify(last)}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.provider.stop();
    for (const end of this.#ends.reverse()) await end();
  }
}

async function startProvider(KUBECONFIG: string, folder: string, port = "0"): Promise<ServerProcess> {
  return await startServerProcess("provider/main.ts", {
    backend: "kubernetes",
    KUBECONFIG,
    data_dir: join(folder, "provider"),
    port,
  });
}
