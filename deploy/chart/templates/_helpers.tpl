{{- define "faaslane.labels" -}}
app.kubernetes.io/part-of: faaslane
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "faaslane.image" -}}
{{ .Values.image }}:{{ .Values.imageTag | default .Chart.AppVersion }}
{{- end }}

{{- /* What nodes call the chart's own registry. */ -}}
{{- define "faaslane.registry" -}}
{{ .Values.registry.name | default (printf "localhost:%d" (int .Values.registry.nodePort)) }}
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
        com.faaslane.component: {{ . }}
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

{{- /* Of gateway or provider: connections that have changed their protocol. */ -}}
{{- define "faaslane.upgradeEnv" -}}
- name: upgrade_idle_timeout
  value: {{ .upgradeIdleTimeout | quote }}
{{- if ne (printf "%v" .maxUpgrades) "" }}
- name: max_upgrades
  value: {{ .maxUpgrades | quote }}
{{- end }}
{{- end }}

{{- /* Gateway and provider have to agree on how functions are scaled that do not say it. */ -}}
{{- define "faaslane.scaleEnv" -}}
- name: default_target
  value: {{ .Values.functions.defaultTarget | quote }}
- name: default_max_replicas
  value: {{ .Values.functions.defaultMaxReplicas | quote }}
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

{{- /* Where NATS comes from, "own" or "external": for the queue, or for gateways that share their work. Empty without. */ -}}
{{- define "faaslane.nats" -}}
{{- if or (eq .Values.queue.kind "jetstream") (and (eq .Values.queue.kind "none") (gt (int .Values.gateway.replicas) 1)) }}
{{- ternary "external" "own" .Values.nats.external.enabled }}
{{- end }}
{{- end }}

{{- /* Whether callbacks may go to private addresses: true or false. */ -}}
{{- define "faaslane.callbackPrivate" -}}
{{- if eq .Values.callbacks.privateTargets "auto" -}}
{{ not (or .Values.exposeServices .Values.ingress.enabled .Values.gatewayApi.enabled (ne .Values.routes.objects "none")) }}
{{- else -}}
{{ eq .Values.callbacks.privateTargets "allow" }}
{{- end -}}
{{- end }}

{{- define "faaslane.natsEnv" -}}
- name: faas_nats_address
  {{- if .Values.nats.external.enabled }}
  {{- if not .Values.nats.external.host }}{{ fail "nats.external.host: name the server" }}{{ end }}
  value: {{ .Values.nats.external.host | quote }}
  {{- else }}
  value: nats.{{ .Release.Namespace }}.svc.{{ .Values.kubernetesDNSDomain }}
  {{- end }}
- name: faas_nats_port
  value: {{ ternary .Values.nats.external.port 4222 .Values.nats.external.enabled | quote }}
- name: nats_stream_replicas
  value: {{ .Values.nats.streamReplication | quote }}
- name: nats_storage
  value: {{ .Values.nats.streamStorage | quote }}
{{- with .Values.nats.reservedBytes }}
- name: nats_reserved_bytes
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* Where callbacks and events may go. */ -}}
{{- define "faaslane.targetsEnv" -}}
- name: callback_private
  value: {{ include "faaslane.callbackPrivate" . | quote }}
{{- with .Values.callbacks.allow }}
- name: callback_allow
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.callbacks.deny }}
- name: callback_deny
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{- /* Where events are kept: embedded, jetstream or none. */ -}}
{{- define "faaslane.events" -}}
{{ ternary .Values.queue.kind "none" .Values.events.enabled }}
{{- end }}

{{- /* Settings of events, for the gateway and for event workers. */ -}}
{{- define "faaslane.eventsEnv" -}}
- name: events
  value: {{ include "faaslane.events" . | quote }}
- name: events_max_event
  value: {{ .Values.events.maxEvent | quote }}
- name: events_max_age
  value: {{ .Values.events.maxAge | quote }}
- name: events_max_bytes
  value: {{ .Values.events.maxBytes | quote }}
- name: events_ingress_auth
  value: {{ .Values.events.ingressAuth | quote }}
{{- with .Values.events.redact }}
- name: events_redact
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{- /* Settings of the queue, for the gateway and for queue workers. */ -}}
{{- define "faaslane.asyncEnv" -}}
- name: queue
  value: {{ .Values.queue.kind | quote }}
{{- if include "faaslane.nats" . }}
{{- include "faaslane.natsEnv" . | nindent 0 }}
- name: ack_wait
  value: {{ .Values.queueWorker.ackWait | quote }}
{{- end }}
- name: async_max_body
  value: {{ .Values.queue.maxBody | quote }}
- name: async_result_ttl
  value: {{ .Values.queue.resultTTL | quote }}
- name: async_max_result
  value: {{ .Values.queue.maxResult | quote }}
{{- with .Values.queue.maxCalls }}
- name: async_max_calls
  value: {{ int . | quote }}
{{- end }}
{{- with .Values.queue.maxBytes }}
- name: async_max_bytes
  value: {{ . | quote }}
{{- end }}
{{- with .Values.queue.functionMaxCalls }}
- name: async_function_max_calls
  value: {{ int . | quote }}
{{- end }}
{{- with .Values.queue.functionMaxBytes }}
- name: async_function_max_bytes
  value: {{ . | quote }}
{{- end }}
{{- if and .Values.queue.minFree (eq .Values.queue.kind "embedded") }}
- name: async_min_free
  value: {{ .Values.queue.minFree | quote }}
{{- end }}
- name: async_function_concurrency
  value: {{ .Values.queue.functionConcurrency | quote }}
- name: max_retry_attempts
  value: {{ .Values.queueWorkerPro.maxRetryAttempts | quote }}
- name: initial_retry_wait
  value: {{ .Values.queueWorkerPro.initialRetryWait | quote }}
- name: max_retry_wait
  value: {{ .Values.queueWorkerPro.maxRetryWait | quote }}
- name: retry_http_codes
  value: {{ .Values.queueWorkerPro.httpRetryCodes | quote }}
- name: callback_timeout
  value: {{ .Values.callbacks.timeout | quote }}
{{- include "faaslane.targetsEnv" . | nindent 0 }}
{{- end }}

{{- /* Everything secret that the gateway and its workers read, as files of one folder; a volume needs a source. */ -}}
{{- define "faaslane.natsSecret" -}}
{{- if eq (include "faaslane.nats" .) "own" }}{{ .Values.nats.credentialsSecret | default "nats-credentials" }}
{{- else if include "faaslane.nats" . }}{{ .Values.nats.credentialsSecret }}{{ end }}
{{- end }}

{{- define "faaslane.hasSecrets" -}}
{{- if or .Values.basic_auth (include "faaslane.natsSecret" .) .Values.callbacks.signingSecret }}yes{{ end }}
{{- end }}

{{- define "faaslane.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if include "faaslane.hasSecrets" . }}
- name: secrets
  projected:
    sources:
      {{- if .Values.basic_auth }}
      - secret:
          name: basic-auth
      {{- end }}
      {{- with include "faaslane.natsSecret" . }}
      - secret:
          name: {{ . }}
      {{- end }}
      {{- with .Values.callbacks.signingSecret }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- end }}

{{- define "faaslane.volumeMounts" -}}
# Results on their way to a callback that are too large for memory.
- name: tmp
  mountPath: /tmp
{{- if include "faaslane.hasSecrets" . }}
- name: secrets
  mountPath: /var/secrets
  readOnly: true
{{- end }}
{{- end }}
