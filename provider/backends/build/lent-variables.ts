import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Variables of the platform by which package managers find their way out: proxies, registries, the certificates to trust.
 * A fixed list, as `npm` sets many more for whatever it starts, which would send an install step to the wrong folder.
 */
const NAMES = [
  "http_proxy",
  "https_proxy",
  "all_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "npm_config_registry",
  "npm_config_cafile",
  "npm_config_strict_ssl",
  "NPM_CONFIG_REGISTRY",
  "NPM_CONFIG_CAFILE",
  "NPM_CONFIG_STRICT_SSL",
  "NPM_CONFIG_USERCONFIG",
  "PIP_INDEX_URL",
  "PIP_EXTRA_INDEX_URL",
  "PIP_TRUSTED_HOST",
  "PIP_CERT",
  "PIP_CONFIG_FILE",
  "GOPROXY",
  "GONOSUMDB",
  "GOFLAGS",
];

/** Of these, those that name a file or a folder. */
const OF_FILES = /CERT|CA_BUNDLE|cafile|USERCONFIG|CONFIG_FILE/i;

/** Files and folders that lent variables name, which a step must be able to read; build arguments name none of ours. */
export function lentFiles(lent: Readonly<Record<string, string>>): string[] {
  const named = Object.entries(lent).filter(([name, value]) => OF_FILES.test(name) && isAbsolute(value));
  return named.map(([, path]) => path).filter((path) => existsSync(path));
}

/** What of an environment leads package managers out, for who keeps nothing else of it. */
export function lentOf(env: Env): Env {
  return Object.fromEntries(NAMES.flatMap((name) => (Object.hasOwn(env, name) ? [[name, env[name]]] : [])));
}

/** Those of them that are set. */
export function pickLent(env: Env): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PASSED_ON = ["PATH", "LANG", "LC_ALL", "TZ"];

/** What every install step sees of the platform's environment. */
export function pickEnv(env: Env): Record<string, string> {
  const picked: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const name of PASSED_ON) if (env[name]) picked[name] = env[name];
  return picked;
}
