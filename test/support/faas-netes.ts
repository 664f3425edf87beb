import type { V1Deployment, V1Secret, V1Service } from "@kubernetes/client-node";

/*
 * A function as faas-netes, OpenFaaS's provider, makes it of a deploy that says everything that its stack files can,
 * and as it then stands in the API server: with the server's defaults, and with one replica that is ready.
 */

const NAME = "shout";
const SELECTOR = { faas_function: NAME };
const ANNOTATIONS = { "prometheus.io.scrape": "false", topic: "orders" };
const CREATED = "2026-01-31T12:00:00Z" as unknown as Date;

const system = (resourceVersion: string) => ({
  name: NAME,
  namespace: "openfaas-fn",
  creationTimestamp: CREATED,
  resourceVersion,
  uid: `uid-of-${NAME}-${resourceVersion}`,
});

const PROBE = {
  httpGet: { path: "/_/health", port: 8080, scheme: "HTTP" },
  initialDelaySeconds: 2,
  periodSeconds: 2,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
};

const ENVIRONMENT = { exec_timeout: "10s", flag: "true", ratio: "1.10", write_timeout: "10s" };

const SECRETS_VOLUME = `${NAME}-projected-secrets`;

const CONTAINER = {
  name: NAME,
  image: "docker.io/local/fn-echo:1",
  imagePullPolicy: "IfNotPresent",
  ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
  env: Object.entries(ENVIRONMENT).map(([name, value]) => ({ name, value })),
  resources: { limits: { cpu: "100m", memory: "128Mi" }, requests: { cpu: "50m", memory: "64Mi" } },
  livenessProbe: PROBE,
  readinessProbe: PROBE,
  securityContext: { readOnlyRootFilesystem: true },
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
  volumeMounts: [
    { name: "temp", mountPath: "/tmp" },
    { name: SECRETS_VOLUME, mountPath: "/var/openfaas/secrets", readOnly: true },
  ],
};

const isTrue = (type: string, reason: string, message: string) => ({
  type,
  status: "True",
  reason,
  message,
  lastTransitionTime: CREATED,
  lastUpdateTime: CREATED,
});

export function theirDeployment(): V1Deployment {
  return structuredClone({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      ...system("1595"),
      generation: 1,
      annotations: { ...ANNOTATIONS, "deployment.kubernetes.io/revision": "1" },
      labels: SELECTOR,
    },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: SELECTOR },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          name: NAME,
          annotations: ANNOTATIONS,
          // Those of the deploy: unlike annotations they go to the pods alone.
          labels: { ...SELECTOR, "com.openfaas.scale.max": "3", "com.openfaas.scale.min": "1" },
        },
        spec: {
          containers: [CONTAINER],
          nodeSelector: { "kubernetes.io/os": "linux" },
          dnsPolicy: "ClusterFirst",
          restartPolicy: "Always",
          schedulerName: "default-scheduler",
          securityContext: {},
          terminationGracePeriodSeconds: 30,
          volumes: [
            { name: "temp", emptyDir: {} },
            {
              name: SECRETS_VOLUME,
              projected: {
                defaultMode: 420,
                sources: [{ secret: { name: "api-key", items: [{ key: "api-key", path: "api-key" }] } }],
              },
            },
          ],
        },
      },
    },
    status: {
      observedGeneration: 1,
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
      conditions: [
        isTrue("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        isTrue("Progressing", "NewReplicaSetAvailable", "its ReplicaSet has progressed"),
      ],
    },
  });
}

export function theirService(): V1Service {
  return structuredClone({
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...system("1570"), annotations: ANNOTATIONS },
    spec: {
      type: "ClusterIP",
      selector: SELECTOR,
      ports: [{ name: "http", port: 8080, protocol: "TCP", targetPort: 8080 }],
      clusterIP: "10.96.0.44",
      clusterIPs: ["10.96.0.44"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      internalTrafficPolicy: "Cluster",
      sessionAffinity: "None",
    },
  });
}

export function theirSecret(): V1Secret {
  return structuredClone({
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: { ...system("1566"), name: "api-key", labels: { "app.kubernetes.io/managed-by": "openfaas" } },
    data: { "api-key": Buffer.from("hunter2").toString("base64") },
  });
}

/** What faas-netes says of {@link theirDeployment}. */
export function theirStatus() {
  return {
    name: NAME,
    namespace: "openfaas-fn",
    image: CONTAINER.image,
    secrets: ["api-key"],
    labels: { ...SELECTOR, "com.openfaas.scale.max": "3", "com.openfaas.scale.min": "1" },
    annotations: ANNOTATIONS,
    ...CONTAINER.resources,
    replicas: 1,
    availableReplicas: 1,
    createdAt: String(CREATED),
  };
}
