/** Commands of `faas-cli` that are not here, and what does their work. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  push: "`faaslane publish` builds images and pushes them; what the gateway builds for itself needs no registry: go on with `faaslane deploy`",
  "registry-login": "the gateway needs no registry; for one of your own, run `docker login`",
  chart: "the Helm chart is in deploy/chart of the source tree: run `helm template` on it",
  auth: "give a token with --token, or store a password with `faaslane login`",
  plugin:
    "there are no plugins; what faaslane has is in `faaslane --help`, and `faas-cli plugin get` gets those of faas-cli",
  cluster: "`faaslane start` runs the platform here; docs/kubernetes.md tells how it is put into a cluster",
  bashcompletion: "run `faaslane completion bash`",
  "cloud-seal": "run `faaslane secret seal`",
  cloud: "run `faaslane secret seal` for sealed secrets",
};
const PLUGINS = ["pro", "github", "dashboard", "actuated", "inlets"];

/** What to do instead of an unknown command; undefined where nothing is known. */
export function hintFor(command: string): string | undefined {
  if (PLUGINS.includes(command)) return `it is a plugin of faas-cli: run \`faas-cli plugin get ${command}\``;
  return Object.hasOwn(ELSEWHERE, command) ? ELSEWHERE[command] : undefined;
}

/** Commands by the names that other clients give them, in two words at most, and how they are called here. */
export const HINTED: readonly string[] = [...Object.keys(ELSEWHERE), ...PLUGINS];
