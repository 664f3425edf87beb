import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubernetesObject } from "../../deploy/render/render-chart.ts";
import { ROOT } from "../support/platform.ts";
import { type ContainerSpec, IMAGE_PROGRAMS } from "./container.ts";
import { entrypoint, imageVariables } from "./image.ts";

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly projected?: { readonly sources: readonly { readonly secret: { readonly name: string } }[] };
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface PodContainer {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly EnvVar[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}

interface PodSpec {
  readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number; readonly fsGroup: number };
  readonly automountServiceAccountToken?: boolean;
  readonly containers: readonly [PodContainer];
  readonly volumes?: readonly Volume[];
}

/** The values of the Secrets that there are, by name. */
export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The pod of a Deployment or StatefulSet. */
export function podSpecOf({ spec }: KubernetesObject): PodSpec {
  return (spec as { template: { spec: PodSpec } }).template.spec;
}

/** Volumes belong to root and the pod's group, as the kubelet makes them with `fsGroup`. */
function give(path: string, group: number, mode: number): void {
  chownSync(path, 0, group);
  chmodSync(path, mode);
}

/** Files that are links to links, so that all of them change at once. */
function layOutSecrets(folder: string, files: Readonly<Record<string, string>>, group: number): void {
  mkdirSync(join(folder, "..2026"), { recursive: true });
  symlinkSync("..2026", join(folder, "..data"));
  for (const [name, value] of Object.entries(files)) {
    const file = join(folder, "..2026", name);
    writeFileSync(file, value);
    give(file, group, 0o640);
    symlinkSync(join("..data", name), join(folder, name));
  }
  give(join(folder, "..2026"), group, 0o2755);
  give(folder, group, 0o3777);
}

function layOutVolume(folder: string, volume: Volume | undefined, group: number, secrets: Secrets): void {
  mkdirSync(folder, { recursive: true });
  const names = volume?.projected?.sources.map(({ secret }) => secret.name) ?? [volume?.secret?.secretName ?? ""];
  const files = Object.assign({}, ...names.map((name) => secrets[name] ?? {})) as Record<string, string>;
  if (volume?.secret || volume?.projected) layOutSecrets(folder, files, group);
  else give(folder, group, 0o2777);
}

/**
 * The one container of a workload's pod as the kubelet would have it started.
 * @param folder where its volumes are laid out
 * @param image the files of the platform's image; `nats-server` of this machine stands for that of NATS
 * @param hosts what the cluster's DNS knows, as lines of `/etc/hosts`
 */
export function containerOf(
  workload: KubernetesObject,
  { folder, image, secrets, hosts }: { folder: string; image: string; secrets: Secrets; hosts: string },
): ContainerSpec {
  const { securityContext, containers, volumes = [], automountServiceAccountToken } = podSpecOf(workload);
  const { runAsUser: uid, runAsGroup: gid, fsGroup } = securityContext;
  const [container] = containers;
  const mounts = container.volumeMounts.map(({ name, mountPath, readOnly = false }) => {
    const from = join(folder, name);
    layOutVolume(
      from,
      volumes.find((volume) => volume.name === name),
      fsGroup,
      secrets,
    );
    return { from, at: mountPath, readOnly };
  });
  if (automountServiceAccountToken) {
    const from = join(folder, "token");
    layOutSecrets(from, { token: "token", "ca.crt": "ca" }, fsGroup);
    mounts.push({ from, at: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true });
  }
  writeFileSync(join(folder, "hosts"), hosts);
  mounts.push({ from: join(folder, "hosts"), at: "/etc/hosts", readOnly: true });
  const given = Object.fromEntries(
    (container.env ?? []).map(({ name, value = "", valueFrom }) => [
      name,
      valueFrom ? (secrets[valueFrom.secretKeyRef.name]?.[valueFrom.secretKeyRef.key] ?? "") : value,
    ]),
  );
  const args = container.args.map((arg) => arg.replace(/\$\((\w+)\)/g, (whole, name: string) => given[name] ?? whole));
  // As every pod is told.
  const env = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "6443", ...given };
  if (container.image.startsWith("nats:")) {
    const program = { from: "/usr/sbin/nats-server", at: "/usr/local/bin/nats-server", readOnly: true };
    return { command: [program.at, ...args], env, uid, gid, mounts: [...mounts, program], workingDir: "/" };
  }
  const files = [
    { from: image, at: "/faaslane", readOnly: true },
    { from: join(ROOT, "node_modules"), at: "/faaslane/node_modules", readOnly: true },
  ];
  return {
    command: [...entrypoint(), ...args],
    env: { ...imageVariables(), ...env },
    uid,
    gid,
    mounts: [...files, ...IMAGE_PROGRAMS(), ...mounts],
    workingDir: "/faaslane",
  };
}
