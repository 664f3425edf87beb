// A platform of its own for tests that kill it: opens the local backend and tells on standard output what it does.

import { createLogger } from "../../../kit/log.ts";
import type { Backend } from "../../../provider/backends/backend.ts";
import { openLocalBackend } from "../../../provider/backends/local/local-backend.ts";
import type { Step } from "./steps.ts";

const [dataDir = "", nodePath = "", watchdogPath = "", work = "", seed = "0"] = process.argv.slice(2);
const NAMESPACE = "openfaas-fn";
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

const backend = await openLocalBackend({
  dataDir,
  nodePath,
  watchdogPath,
  defaultNamespace: NAMESPACE,
  version: { release: "test", sha: "test" },
  environment: { PATH: process.env.PATH },
  log: createLogger("silent"),
});
if (work === "write") await write(backend, Number(seed));
else await serve(backend);

/** Writes one thing after another until it is killed, announcing each before and after. */
async function write({ functions, secrets, namespaces }: Backend, start: number): Promise<void> {
  const known = new Set((await functions.list(NAMESPACE)).map(({ name }) => name));
  const knownSecrets = new Set((await secrets.list(NAMESPACE)).map(({ name }) => name));
  const knownNamespaces = new Set(await namespaces.list());
  for (let n = start; ; n += 1) {
    const name = `fn-${n % 7}`;
    const ref = { name, namespace: NAMESPACE };
    const deployment = { service: name, image: "fn", namespace: NAMESPACE, envVars: { n: String(n) } };
    const secret = { name: `secret-${n % 5}`, namespace: NAMESPACE };
    const namespace = `space-${n % 3}`;
    const run = async (step: Step, work: () => Promise<void>) => {
      say({ begin: step });
      await work();
      say({ done: step });
    };
    if (!known.has(name)) {
      await run({ kind: "function", name, n, replicas: 1 }, () => functions.create(deployment));
      known.add(name);
    } else if (n % 11 === 0) {
      await run({ kind: "function", name }, () => functions.remove(ref));
      known.delete(name);
    } else {
      const replicas = n % 3;
      await run({ kind: "scale", name, replicas }, () => functions.scale(ref, replicas));
      await run({ kind: "function", name, n, replicas }, () => functions.update(deployment));
    }
    const value = `value ${n} ${"x".repeat(n % 3000)}`;
    if (!knownSecrets.has(secret.name)) {
      await run({ kind: "secret", name: secret.name, value }, () => secrets.create(secret, Buffer.from(value)));
      knownSecrets.add(secret.name);
    } else if (n % 13 === 0) {
      await run({ kind: "secret", name: secret.name }, () => secrets.remove(secret));
      knownSecrets.delete(secret.name);
    } else await run({ kind: "secret", name: secret.name, value }, () => secrets.update(secret, Buffer.from(value)));
    if (knownNamespaces.has(namespace)) {
      await run({ kind: "namespace", name: namespace, there: false }, () => namespaces.remove(namespace));
      knownNamespaces.delete(namespace);
    } else {
      await run({ kind: "namespace", name: namespace, there: true }, () => namespaces.create({ name: namespace }));
      knownNamespaces.add(namespace);
    }
  }
}

/** Runs what is deployed, telling where it can be called. */
async function serve({ watch }: Backend): Promise<void> {
  setInterval(() => {}, 1 << 30); // keeps the process, as a platform's ports do
  for await (const event of watch(new AbortController().signal)) say(event);
}
