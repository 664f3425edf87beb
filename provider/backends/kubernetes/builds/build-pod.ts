import type { V1Pod, V1Secret } from "@kubernetes/client-node";

/** On pods and secrets of builds, with the build's id. */
export const BUILD_LABEL = "com.faaslane.build";
export const BUILD_CONTAINER = "build";

const WORK = "/build";
const LOGINS = "/logins";
const RESULT = "/dev/termination-log";
/** Of the image that the steps run in; without root on the node they need a user namespace, which that image is made for. */
const USER = 1000;

export interface BuildPod {
  readonly id: string;
  readonly namespace: string;
  /** Has buildah. */
  readonly builderImage: string;
  /** What to push, by the name that pods know its registry by. */
  readonly target: string;
  /** An image with the build context in its folder `context`, named by digest. */
  readonly context: string;
  /** Registries that are spoken to without TLS. */
  readonly insecure: readonly string[];
  readonly platform: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * Takes the context out of its image, builds, pushes, and leaves the digest as the container's termination message.
 * Arguments: folder to work in, logins, where the digest goes, what to push, the context's image; then those of the build.
 */
const SCRIPT = `
work=$1 logins=$2 result=$3 target=$4 context=$5
shift 5
printf '%s' "$REGISTRIES" >"$work/registries.conf"
export HOME="$work" REGISTRY_AUTH_FILE="$logins" CONTAINERS_REGISTRIES_CONF="$work/registries.conf"
run() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
holder=$(run from --quiet "$context")
folder=$(run mount "$holder")
run build --isolation chroot --tag "$target" "$@" "$folder/context"
run push --quiet --digestfile "$work/digest" "$target" "docker://$target"
cat "$work/digest" >"$result"
`;

/** Whoever is not root needs a user namespace before anything can be mounted. */
const BEGIN = `if [ "$(id -u)" = 0 ]; then eval "$SCRIPT"; else exec buildah unshare sh -euc "$SCRIPT" build "$@"; fi`;

/** A pod that runs the steps of a Dockerfile once. Without privileges: in a user namespace and a changed root. */
export function renderBuildPod(build: BuildPod): V1Pod {
  const { id, namespace, builderImage, target, context, insecure, platform, buildArgs, timeoutMs } = build;
  const name = buildPodName(id);
  const args = Object.entries(buildArgs).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { [BUILD_LABEL]: id } },
    spec: {
      restartPolicy: "Never",
      activeDeadlineSeconds: Math.ceil(timeoutMs / 1000),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 5,
      containers: [
        {
          name: BUILD_CONTAINER,
          image: builderImage,
          command: [
            ...["sh", "-euc", BEGIN, "build"],
            ...[WORK, `${LOGINS}/config.json`, RESULT, target, context],
            ...["--platform", platform, ...args],
          ],
          env: [
            { name: "SCRIPT", value: SCRIPT },
            { name: "REGISTRIES", value: registriesConf(insecure) },
          ],
          resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "4Gi" } },
          securityContext: {
            runAsUser: USER,
            // newuidmap of the image has these as its own; without them it maps nobody.
            capabilities: { drop: ["ALL"], add: ["SETUID", "SETGID"] },
            seccompProfile: { type: "Unconfined" },
          },
          terminationMessagePath: RESULT,
          terminationMessagePolicy: "FallbackToLogsOnError",
          volumeMounts: [
            { name: "work", mountPath: WORK },
            { name: "logins", mountPath: LOGINS, readOnly: true },
          ],
        },
      ],
      securityContext: { fsGroup: USER },
      volumes: [
        { name: "work", emptyDir: { sizeLimit: "20Gi" } },
        { name: "logins", secret: { secretName: name } },
      ],
    },
  };
}

/** The logins that the pod pulls and pushes with, as a Docker client's `config.json`. */
export function renderBuildSecret({ id, namespace }: Pick<BuildPod, "id" | "namespace">, logins: string): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: buildPodName(id), namespace, labels: { [BUILD_LABEL]: id } },
    type: "Opaque",
    data: { "config.json": Buffer.from(logins).toString("base64") },
  };
}

export function buildPodName(id: string): string {
  return `faaslane-build-${id}`;
}

function registriesConf(insecure: readonly string[]): string {
  const each = insecure.map((host) => `[[registry]]\nlocation = ${JSON.stringify(host)}\ninsecure = true\n`);
  return ['unqualified-search-registries = ["docker.io"]\n', ...each].join("");
}
