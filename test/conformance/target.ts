import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Difference } from "../compat/differences.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { type RawResponse, rawRequest } from "../support/raw-http.ts";
import { type Row, withAuthorization } from "./facts.ts";
import { settings } from "./settings.ts";

/** Longest wait for an answer: machines of tests are busy. */
const ANSWER_MS = 25_000;

interface Kind {
  readonly isFaaslane: boolean;
  /** Has `POST /system/build`. */
  readonly builds: boolean;
}

/** What the gateway says of itself. */
async function askKind(url: URL): Promise<Kind> {
  const headers: Record<string, string> = settings.authorization ? { authorization: settings.authorization } : {};
  const answer = await fetch(new URL("/system/info", url), { headers });
  if (answer.status === 401) throw new Error(`${url.host} refuses the user or password of CONFORMANCE_…`);
  if (answer.status !== 200) throw new Error(`${url.host} answers ${answer.status} to /system/info: is it a gateway?`);
  const info = (await answer.json()) as {
    provider: { features?: readonly string[] } | null;
    version: { commit_message?: string };
  };
  return {
    isFaaslane: /^faaslane\b/.test(info.version.commit_message ?? ""),
    builds: info.provider?.features?.includes("build") ?? false,
  };
}

const kind: Kind = settings.url ? await askKind(settings.url) : { isFaaslane: true, builds: true };

/** What a deployment of a function that echoes says. */
export const ECHO: { readonly image: string; readonly envProcess?: string } =
  settings.echo ??
  (kind.builds ? { image: "docker.io/local/greet:1" } : { image: "ghcr.io/openfaas/alpine:latest", envProcess: "cat" });

const reflectImage = settings.reflectImage ?? (kind.builds ? "docker.io/local/reflect:1" : undefined);
/** What a deployment of a function says whose calls nobody looks at, or that reflects where it can. */
export const REFLECT: { readonly image: string; readonly envProcess?: string } = reflectImage
  ? { image: reflectImage }
  : ECHO;

export const noReflect: string | undefined = reflectImage
  ? undefined
  : "needs CONFORMANCE_REFLECT_IMAGE, an image of the function that answers with what it received";
export const noCallbacks: string | undefined = settings.callbackHost
  ? undefined
  : "needs CONFORMANCE_CALLBACK_HOST, this machine's name as the gateway reaches it";
export const noMetrics: string | undefined =
  settings.metricsUrl || !settings.url ? undefined : "needs CONFORMANCE_METRICS_URL, the listener of the metrics";
export const noSlowGateway: string | undefined = settings.waitsThreeSeconds
  ? undefined
  : "needs a gateway with upstream_timeout=3s, and CONFORMANCE_UPSTREAM_TIMEOUT=3s to say so";

/** Why another's gateway is not asked where faaslane does otherwise on purpose. */
export function unlessFaaslane(difference: Difference | undefined): string | undefined {
  if (kind.isFaaslane || !difference) return undefined;
  return `not faaslane, which does better: ${difference.why}; the original: ${difference.original}`;
}

/** As it is sent. */
interface Deployment {
  readonly service: string;
  readonly [field: string]: unknown;
}

/** The gateway under test. */
export interface Target {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly metricsUrl: string;
  /** Asks byte for byte; control routes with the password unless the request has one. */
  ask(row: Row): Promise<RawResponse | undefined>;
  /** With the password; text as body goes as JSON. */
  control(path: string, init?: RequestInit): Promise<Response>;
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Deploys a function and waits until a replica of it serves. */
  deploy(deployment: Deployment): Promise<void>;
  close(): Promise<void>;
}

/** What the tests deploy and make; nothing of these names may be there before, and it is removed after. */
interface Names {
  readonly functions: readonly string[];
  readonly secrets?: readonly string[];
}

/**
 * @param names of another's gateway; one that is started here is empty before and gone after
 * @throws when there is a function or a secret of such a name already
 */
export async function openTarget(names: Names): Promise<Target> {
  const base = settings.url ? given(settings.url) : await startOwn();
  const target: Target = { ...base, ...asking(base) };
  try {
    if (settings.url) await expectFree(target, names);
    if (kind.builds) await buildFunctions(target);
  } catch (error) {
    await base.close();
    throw error;
  }
  const close = async () => {
    if (settings.url) await remove(target, names);
    await base.close();
  };
  return { ...target, close };
}

type Base = Pick<Target, "url" | "authorization" | "metricsUrl" | "close"> & { readonly address: URL };

const given = (url: URL): Base => ({
  url: url.origin,
  address: url,
  authorization: settings.authorization,
  metricsUrl: settings.metricsUrl ?? "",
  close: async () => {},
});

async function startOwn(): Promise<Base> {
  const folder = await temporaryFolder();
  const env = { upstream_timeout: "3s", allowed_hosts: `${settings.host},127.0.0.1` };
  const platform = await Platform.start({ dataDir: folder.path, env });
  const close = async () => {
    await platform.stop();
    await folder.remove();
  };
  const { url, metricsUrl } = platform;
  return { url, address: new URL(url), authorization: await platform.authorization(), metricsUrl, close };
}

function asking({ url, address, authorization }: Base): Omit<Target, keyof Omit<Base, "address">> {
  const control = (path: string, init: RequestInit = {}) => {
    const type = typeof init.body === "string" ? { "content-type": "application/json" } : {};
    const auth = authorization ? { authorization } : {};
    return fetch(url + path, { ...init, redirect: "manual", headers: { ...type, ...auth, ...init.headers } });
  };
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${url}/function/${path}`, { redirect: "manual", ...init });
  return {
    control,
    call,
    ask: async ([, bytes]) => {
      const isControl = /^\w+ \/system\//.test(bytes);
      const needsPassword = isControl && !/^authorization:/im.test(bytes);
      const request = needsPassword && authorization ? withAuthorization(bytes, authorization) : bytes;
      const answer = await rawRequest(address, request, ANSWER_MS);
      if (!isControl || answer?.status !== 429) return answer;
      return await eventually(
        "a gateway that was sent wrong passwords lately, by a run before this one, listens again",
        async () => {
          const later = await rawRequest(address, request, ANSWER_MS);
          return later?.status !== 429 && later;
        },
        80_000,
        500,
      );
    },
    deploy: async ({ service, ...rest }) => {
      const body = JSON.stringify({ service, ...rest });
      const answer = await control("/system/functions", { method: "POST", body });
      const text = await answer.text();
      if (answer.status !== 200 && answer.status !== 202) throw new Error(`deploy: ${answer.status} ${text}`);
      await eventually(
        `${service} serves`,
        async () => ((await status(control, service))?.availableReplicas ?? 0) > 0,
        60_000,
        100,
      );
    },
  };
}

/** Status of a function; undefined when there is none. */
export async function status(control: Target["control"], name: string): Promise<FunctionStatus | undefined> {
  const answer = await control(`/system/function/${name}`);
  const text = await answer.text();
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw new Error(`status of ${name}: ${answer.status} ${text}`);
  return JSON.parse(text) as FunctionStatus;
}

interface FunctionStatus {
  readonly replicas?: number;
  readonly availableReplicas?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function expectFree({ control }: Target, { functions, secrets = [] }: Names): Promise<void> {
  const listed = async (path: string) =>
    ((await (await control(path)).json()) as { name: string }[]).map(({ name }) => name);
  const there = [await listed("/system/functions"), await listed("/system/secrets")];
  const taken = [functions, secrets].flatMap((names, at) => names.filter((name) => there[at]?.includes(name)));
  if (taken.length > 0) throw new Error(`the tests would change what is there already: ${taken.join(", ")}`);
}

async function remove({ control }: Target, { functions, secrets = [] }: Names): Promise<void> {
  const each = async (path: string, body: object) => {
    await (await control(path, { method: "DELETE", body: JSON.stringify(body) })).arrayBuffer();
  };
  for (const functionName of functions) await each("/system/functions", { functionName });
  for (const name of secrets) await each("/system/secrets", { name });
}

async function buildFunctions(target: Target): Promise<void> {
  if (!settings.echo) {
    const env = { mode: "classic", fprocess: "cat" };
    await buildImage(target, ECHO.image, { "faaslane.json": JSON.stringify({ env }) });
  }
  if (!settings.reflectImage) {
    await buildImage(target, REFLECT.image, {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./reflect.mjs" } }),
      "reflect.mjs": readFileSync(join(ROOT, "test/support/reflect.mjs"), "utf8"),
    });
  }
}
