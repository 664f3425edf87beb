{{- define "faaslane.labels" -}}
app.kubernetes.io/part-of: faaslane
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "faaslane.image" -}}
{{ .Values.image }}:{{ .Values.imageTag | default .Chart.AppVersion }}
{{- end }}

{{- /* What every pod of the platform has in common. */ -}}
{{- define "faaslane.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "faaslane.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- /* While its address is still being handed out, a pod that has to go serves on. */ -}}
{{- define "faaslane.lifecycle" -}}
lifecycle:
  preStop:
    exec:
      command: [/usr/local/bin/node, -e, "setTimeout(() => {}, 3000)"]
{{- end }}

{{- define "faaslane.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        app: {{ . }}
{{- end }}

{{- define "faaslane.env" -}}
- name: bind_address
  value: {{ .Values.bindAddress | quote }}
- name: function_namespace
  value: {{ .Values.functionNamespace | quote }}
- name: basic_auth
  value: {{ .Values.basic_auth | quote }}
- name: secret_mount_path
  value: /var/secrets
- name: log_level
  value: {{ .Values.logLevel | quote }}
{{- end }}

{{- define "faaslane.extraEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* Seconds from SIGTERM to the end, for a drain of so many: preStop comes first, and something is left over. */ -}}
{{- define "faaslane.grace" -}}
{{- $drain := printf "%v" . }}
{{- if not (regexMatch "^[0-9]+s?$" $drain) }}{{ fail (printf "drainTimeout: %s is not in seconds, such as 60s" $drain) }}{{ end }}
{{- add (int (trimSuffix "s" $drain)) 8 }}
{{- end }}
