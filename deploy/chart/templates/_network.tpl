{{- define "faaslane.policyTypes" -}}
- Ingress
{{- if .Values.networkPolicies.egress }}
- Egress
{{- end }}
{{- end }}

{{- /* Pods of functions, in the namespaces that may have any. */ -}}
{{- define "faaslane.functionPeers" -}}
- namespaceSelector:
    {{- if .Values.clusterRole }}
    matchLabels: {}
    {{- else }}
    matchLabels:
      kubernetes.io/metadata.name: {{ .Values.functionNamespace }}
    {{- end }}
  podSelector:
    matchExpressions:
      - key: faas_function
        operator: Exists
{{- end }}

{{- /* Who may scrape ports that have nothing but metrics: pods of that one namespace, or whoever is no function. */ -}}
{{- define "faaslane.metricsPeers" -}}
- namespaceSelector:
    {{- if .Values.networkPolicies.monitoringNamespace }}
    matchLabels:
      kubernetes.io/metadata.name: {{ .Values.networkPolicies.monitoringNamespace }}
    {{- else }}
    matchLabels: {}
    {{- end }}
  podSelector:
    matchExpressions:
      - key: faas_function
        operator: DoesNotExist
{{- end }}

{{- /* To any address, as a node may have a cache of its own. */ -}}
{{- define "faaslane.dnsEgress" -}}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
{{- end }}

{{- /* The gateway also calls itself: callbacks that are functions. */ -}}
{{- define "faaslane.controlEgress" -}}
- to:
    - podSelector:
        matchLabels:
          com.faaslane.component: gateway-provider
  ports:
    - protocol: TCP
      port: 8081
- to:
    - podSelector:
        matchLabels:
          com.faaslane.component: gateway
  ports:
    - protocol: TCP
      port: 8080
{{- end }}

{{- /* NATS, and wherever callbacks may go. */ -}}
{{- define "faaslane.asyncEgress" -}}
{{- if eq (include "faaslane.nats" .) "own" }}
- to:
    - podSelector:
        matchLabels:
          com.faaslane.component: nats
  ports:
    - protocol: TCP
      port: 4222
{{- else if include "faaslane.nats" . }}
- ports:
    - protocol: TCP
      port: {{ .Values.nats.external.port }}
{{- end }}
{{- if ne .Values.queue.kind "none" }}
{{- $private := or (eq (include "faaslane.callbackPrivate" .) "true") .Values.callbacks.allow }}
# What of it is called is for the gateway to decide, by callbacks.allow and callbacks.deny; metadata of clouds never is.
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
          - 169.254.0.0/16
          {{- if not $private }}
          - 10.0.0.0/8
          - 100.64.0.0/10
          - 172.16.0.0/12
          - 192.168.0.0/16
          {{- end }}
    - ipBlock:
        cidr: ::/0
        except:
          - fe80::/10
          {{- if not $private }}
          - fc00::/7
          {{- end }}
    {{- if $private }}
    # Where pods do not count as addresses.
    - namespaceSelector: {}
    {{- end }}
{{- end }}
{{- end }}
