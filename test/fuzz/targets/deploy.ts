import { DEFAULT_NAMESPACE, PATHS } from "../../../contract/paths.ts";
import { ask } from "../ask.ts";
import { mutateJson } from "../mutate-json.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";

const DEPLOYMENT = {
  service: "made",
  image: "plain:1",
  namespace: "openfaas-fn",
  envProcess: "cat",
  envVars: { A: "1", exec_timeout: "10s" },
  constraints: ["node.platform.os == linux"],
  secrets: [],
  labels: { "com.openfaas.scale.min": "0", "com.openfaas.scale.max": "1", "com.openfaas.scale.zero": "true", a: "b" },
  annotations: { topic: "t", "com.openfaas.schedule": "*/5 * * * *", "com.openfaas.health.http.path": "/healthz" },
  limits: { memory: "128Mi", cpu: "100m" },
  requests: { memory: "64Mi", cpu: "50m" },
  readOnlyRootFilesystem: false,
};

/** Requests with a JSON body, by method and path. */
const REQUESTS: readonly (readonly [method: string, path: string, bodies: readonly unknown[]])[] = [
  ["POST", PATHS.functions, [DEPLOYMENT, { service: "made", image: "plain:1" }]],
  ["PUT", PATHS.functions, [DEPLOYMENT]],
  ["DELETE", PATHS.functions, [{ functionName: "made" }, { functionName: "made", namespace: "openfaas-fn" }]],
  [
    "POST",
    `${PATHS.scale}made`,
    [
      { serviceName: "made", replicas: 1 },
      { replicas: 0, inFlight: { "127.0.0.1:1": 1 } },
    ],
  ],
  [
    "POST",
    PATHS.secrets,
    [
      { name: "made", value: "v" },
      { name: "made", rawValue: "dg==" },
    ],
  ],
  ["PUT", PATHS.secrets, [{ name: "made", value: "w", namespace: "openfaas-fn" }]],
  ["DELETE", PATHS.secrets, [{ name: "made" }]],
  ["POST", PATHS.namespace, [{ name: "made", labels: { openfaas: "1" }, annotations: { a: "b" } }]],
  ["PUT", `${PATHS.namespace}made`, [{ name: "made", labels: { openfaas: "1" } }]],
  ["DELETE", `${PATHS.namespace}made`, [{ name: "made" }]],
  [
    "POST",
    PATHS.alert,
    [
      {
        status: "firing",
        alerts: [{ status: "firing", labels: { alertname: "a", function_name: "made.openfaas-fn" }, annotations: {} }],
      },
    ],
  ],
];

const KEPT = ["probed", "plain", "noisy", "odd"];

/** JSON bodies of the control routes: other types, sizes, characters and depths than expected. */
export function deployTarget({ platform, authorization }: PlatformUnderFuzz): FuzzTarget {
  const doors = [platform.url, `http://127.0.0.1:${platform.providerPort}`];
  const headers = { authorization, "content-type": "application/json" };
  const call = (url: string, method: string, body?: string) =>
    ask(url, { method, headers, ...(body !== undefined && { body }) });

  async function remove(
    path: string,
    names: readonly { name: string; namespace?: string }[],
    key: string,
  ): Promise<void> {
    for (const { name, namespace } of names) {
      await call(platform.url + path, "DELETE", JSON.stringify({ [key]: name, namespace }));
    }
  }

  return {
    name: "deploy",
    lanes: 4,
    prepare(dice) {
      const [method, path, bodies] = dice.pick(REQUESTS);
      const door = dice.pick(doors);
      const body = mutateJson(bodies, dice);
      return {
        input: Buffer.from(`${method} ${path} ${body}`),
        async run() {
          const answer = await call(door + path, method, body);
          const text = await answer.text();
          if (answer.status >= 500) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
        },
      };
    },
    async tidy() {
      // A namespace may be gone by now; another case has removed it.
      const list = async <T>(path: string): Promise<T[]> => {
        const answer = await call(platform.url + path, "GET");
        const text = await answer.text();
        return answer.status === 200 ? (JSON.parse(text) as T[]) : [];
      };
      for (const namespace of await list<string>(PATHS.namespaces)) {
        const query = `?namespace=${encodeURIComponent(namespace)}`;
        const functions = await list<{ name: string }>(PATHS.functions + query);
        const made = functions.filter(({ name }) => !KEPT.includes(name)).map(({ name }) => ({ name, namespace }));
        await remove(PATHS.functions, made, "functionName");
        await remove(PATHS.secrets, await list(PATHS.secrets + query), "name");
        if (namespace !== DEFAULT_NAMESPACE) await remove(PATHS.namespace + namespace, [{ name: namespace }], "name");
      }
    },
    async close() {},
  };
}
