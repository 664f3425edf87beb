import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { buildCrds } from "../../provider/backends/kubernetes/resources/crds.ts";
import { type KubernetesObject, readValues, renderChart, type Values } from "./render-chart.ts";
import { buildValuesSchema } from "./values-schema.ts";

const NAMESPACE = "openfaas";

const yaml = (objects: readonly unknown[]) =>
  objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");

/** Kinds that others stand on come first; the rest is in the order of the chart. */
const FIRST = ["CustomResourceDefinition", "Namespace", "ServiceAccount"];

function inOrder(objects: readonly KubernetesObject[]): KubernetesObject[] {
  const rank = ({ kind }: KubernetesObject) => (FIRST.indexOf(kind) + FIRST.length + 1) % (FIRST.length + 1);
  return [...objects].sort((a, b) => rank(a) - rank(b));
}

/** Nothing of Helm is left in what people apply without it. */
function withoutHelm(object: KubernetesObject): KubernetesObject {
  const text = JSON.stringify(object, (key, value: unknown) => {
    if (key === "helm.sh/resource-policy") return undefined;
    if (key === "app.kubernetes.io/managed-by" && value === "Helm") return undefined;
    return value;
  });
  const plain = JSON.parse(text) as KubernetesObject;
  const { annotations, ...metadata } = plain.metadata;
  const isEmpty = annotations === undefined || Object.keys(annotations as object).length === 0;
  return isEmpty ? { ...plain, metadata } : plain;
}

function manifests(chart: string, about: string, values: Values): string {
  const core = {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: NAMESPACE, labels: { "app.kubernetes.io/part-of": "faaslane" } },
  };
  // A password belongs in no file: whoever applies these makes the Secret.
  const release = { name: "faaslane", namespace: NAMESPACE };
  const { objects } = renderChart(chart, { ...values, generateBasicAuth: false }, release);
  const ordered = inOrder([core, ...objects].map(withoutHelm));
  return `# Made from deploy/chart by deploy/render.ts; change that instead. ${about}
# Before: kubectl create namespace ${NAMESPACE}; kubectl -n ${NAMESPACE} create secret generic basic-auth \\
#   --from-literal=basic-auth-user=admin --from-literal=basic-auth-password="$(openssl rand -hex 16)"
# kubectl apply --server-side -f <this file>
${yaml(ordered)}`;
}

/** As text of a Helm template, in which it stands for itself. */
const literal = (text: string) => text.replaceAll("{{", '{{ "{{" }}');

const indented = (width: number, text: string) => text.trimEnd().replaceAll(/^(?=.)/gm, " ".repeat(width));

const metadata = (kind: string, name: string, namespace: string, values: string) => `${kind}
metadata:
  name: ${name}
  namespace: ${namespace}
  labels:
    {{- include "faaslane.labels" . | nindent 4 }}
    {{- with .Values.${values}.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}`;

function dashboards(folder: string): string {
  const namespace = "{{ .Values.grafanaDashboards.namespace | default .Release.Namespace }}";
  const boards = readdirSync(folder)
    .sort()
    .map((file) => {
      const head = metadata(
        "apiVersion: v1\nkind: ConfigMap",
        `grafana-${file.replace(".json", "")}`,
        namespace,
        "grafanaDashboards",
      );
      return `${head}
  {{- with .Values.grafanaDashboards.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  ${file}: |-
${indented(4, literal(readFileSync(join(folder, file), "utf8")))}
`;
    });
  return `{{- /* Made from deploy/grafana by deploy/render.ts. */ -}}
{{- if .Values.grafanaDashboards.enabled }}
${boards.join("---\n")}{{- end }}
`;
}

function prometheusRule(file: string): string {
  const rules = readFileSync(file, "utf8").replace(/^(#.*\n)+/, "");
  const kind = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule";
  return `{{- /* Made from deploy/prometheus/alerts.yaml by deploy/render.ts. */ -}}
{{- if .Values.prometheusRule.enabled }}
${metadata(kind, "faaslane", "{{ .Release.Namespace }}", "prometheusRule")}
spec:
${indented(2, literal(rules))}
{{- end }}
`;
}

/** Files under `deploy/` that are made from others, by their path there. */
export function generate(deploy: string): ReadonlyMap<string, string> {
  const chart = join(deploy, "chart");
  return new Map([
    [
      "chart/templates/crds.yaml",
      `{{- /* Made from provider/backends/kubernetes/resources/crds.ts by deploy/render.ts. */ -}}
{{- if .Values.createCRDs }}
${yaml(buildCrds())}{{- end }}
`,
    ],
    ["chart/templates/grafana-dashboards.yaml", dashboards(join(deploy, "grafana"))],
    ["chart/templates/prometheus-rule.yaml", prometheusRule(join(deploy, "prometheus/alerts.yaml"))],
    ["chart/values.schema.json", `${JSON.stringify(buildValuesSchema(readValues(chart)), null, 2)}\n`],
    ["manifests/faaslane.yaml", manifests(chart, "Functions in one namespace.", {})],
    ["manifests/faaslane-cluster-role.yaml", manifests(chart, "Functions in any namespace.", { clusterRole: true })],
  ]);
}
