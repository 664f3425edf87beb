import type { V1Container, V1PodSecurityContext, V1PodSpec, V1TopologySpreadConstraint } from "@kubernetes/client-node";
import type { FunctionResources } from "../../../../contract/functions.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import { buildNodeSelector } from "./constraints.ts";
import { imageByDigest } from "./deployed.ts";
import { buildContainerEnvironment } from "./environment.ts";
import { terminationGraceSeconds } from "./grace.ts";
import { pullPolicy } from "./image.ts";
import { ANNOTATIONS, FUNCTION_LABEL, FUNCTION_PORT } from "./names.ts";
import { buildProbes } from "./probes.ts";
import { mergeProfiles, mergeResources, type ProfileSpec } from "./profile.ts";
import { buildSecretVolume, splitSecrets } from "./secret-volumes.ts";
import type { ResourceContext } from "./settings.ts";
import { objectName } from "./version-unit.ts";

/** The user OpenFaaS gives functions; images made for it expect no other. */
const NON_ROOT_USER = 12000;

type Quantities = Record<string, string>;

function quantities(resources: FunctionResources = {}): Quantities | undefined {
  const set = Object.entries(resources).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return set.length > 0 ? Object.fromEntries(set.sort(([a], [b]) => (a < b ? -1 : 1))) : undefined;
}

function buildResources({ limits, requests }: ResolvedDeployment, profile: ProfileSpec): V1Container["resources"] {
  const [upper, lower] = [quantities(limits), quantities(requests)];
  const own = { ...(upper && { limits: upper }), ...(lower && { requests: lower }) };
  return mergeResources(profile.resources, own);
}

function buildSecurityContext(nonRoot: boolean, profile: ProfileSpec): V1PodSecurityContext {
  return {
    seccompProfile: { type: "RuntimeDefault" },
    ...(nonRoot && { runAsNonRoot: true, runAsUser: NON_ROOT_USER }),
    ...profile.podSecurityContext,
  };
}

/** Over nodes and zones as far as it costs nothing: no pod waits for the sake of balance. */
const SPREAD: readonly V1TopologySpreadConstraint[] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map(
  (topologyKey) => ({ maxSkew: 1, topologyKey, whenUnsatisfiable: "ScheduleAnyway" }),
);

/** A profile does not know who uses it, so the pods that are counted are the function's own unless it says otherwise. */
function buildSpread(name: string, { topologySpreadConstraints = SPREAD }: ProfileSpec): V1TopologySpreadConstraint[] {
  const labelSelector = { matchLabels: { [FUNCTION_LABEL]: name } };
  return topologySpreadConstraints.map((constraint) => ({ labelSelector, ...constraint }));
}

/** The pod of one replica. */
export function buildPodSpec(deployment: ResolvedDeployment, around: ResourceContext): V1PodSpec {
  const { service, annotations = {}, constraints, readOnlyRootFilesystem = false } = deployment;
  const image = imageByDigest(deployment);
  const { name } = parseVersionedName(service);
  const { settings, secrets, profiles, announce } = around;
  const profile = mergeProfiles(annotations, profiles);
  const { pull, files } = splitSecrets(deployment.secrets, secrets);
  const secretVolume = buildSecretVolume(name, files);
  const nodeSelector = buildNodeSelector(constraints);
  const resources = buildResources(deployment, profile);
  const serviceAccountName = annotations[ANNOTATIONS.serviceAccount];
  const { tolerations, affinity, runtimeClassName, priorityClassName, dnsPolicy, dnsConfig } = profile;

  const mounts = [
    ...(readOnlyRootFilesystem ? [{ name: "temp", mountPath: "/tmp" }] : []),
    ...(secretVolume ? [secretVolume.mount] : []),
  ];
  const volumes = [
    ...(readOnlyRootFilesystem ? [{ name: "temp", emptyDir: {} }] : []),
    ...(secretVolume ? [secretVolume.volume] : []),
  ];
  const container: V1Container = {
    name,
    image,
    imagePullPolicy: settings.imagePullPolicy ?? pullPolicy(image),
    ports: [{ name: "http", containerPort: FUNCTION_PORT, protocol: "TCP" }],
    env: buildContainerEnvironment(deployment, announce, settings.gatewayUrl),
    ...(resources && { resources }),
    ...buildProbes(annotations, settings),
    securityContext: {
      readOnlyRootFilesystem,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    },
    // A crash says why in the pod's status, where the provider sees it without asking for logs.
    terminationMessagePolicy: "FallbackToLogsOnError",
    ...(mounts.length > 0 && { volumeMounts: mounts }),
  };
  return {
    containers: [container],
    ...(nodeSelector && { nodeSelector }),
    ...(pull.length > 0 && { imagePullSecrets: pull.map((secret) => ({ name: secret })) }),
    ...(volumes.length > 0 && { volumes }),
    ...(serviceAccountName && { serviceAccountName }),
    // Only a function that was given an account of its own has business with the API server.
    automountServiceAccountToken: Boolean(serviceAccountName),
    // A variable per Service of the namespace slows every start and tells functions of each other.
    enableServiceLinks: false,
    securityContext: buildSecurityContext(settings.nonRoot, profile),
    terminationGracePeriodSeconds: terminationGraceSeconds(deployment.envVars),
    topologySpreadConstraints: buildSpread(objectName(service), profile),
    ...(tolerations && { tolerations: [...tolerations] }),
    ...(affinity && { affinity }),
    ...(runtimeClassName && { runtimeClassName }),
    ...(priorityClassName && { priorityClassName }),
    ...(dnsPolicy && { dnsPolicy }),
    ...(dnsConfig && { dnsConfig }),
  };
}
