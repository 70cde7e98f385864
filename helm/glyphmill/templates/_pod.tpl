{{/* Metadata of a component's pods: (list $ "api"). */}}
{{- define "glyphmill.podMetadata" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
labels:
  {{- include "glyphmill.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ index . 1 }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What every pod may do, which is little. */}}
{{- define "glyphmill.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "glyphmill.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Where a component's pods run: (list $ "api"); a GPU brings its own tolerations. */}}
{{- define "glyphmill.scheduling" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $tolerations := $values.tolerations -}}
{{- if and (eq $component "worker") (eq $values.provider "gpu") -}}
{{- $tolerations = concat $values.gpu.tolerations $tolerations -}}
{{- end -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- include "glyphmill.selector" (list $root $component) | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/*
Probes of the metrics port, with how long the start may take: (dict "startupSeconds" 60).
Readiness asks for Redis, S3 and the models; liveness never does, since a restart mends none of them.
*/}}
{{- define "glyphmill.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: {{ div (add .startupSeconds 1) 2 }}
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
{{- end -}}

{{/* Time that a component's pods get to stop: (list $ "api"). What SHUTDOWN_SECONDS leaves open is for the exit itself. */}}
{{- define "glyphmill.grace" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- $drain := include "glyphmill.number" (list (index . 0) (index . 1) "SHUTDOWN_SECONDS") | int -}}
{{- if $values.terminationGracePeriodSeconds -}}
{{- int $values.terminationGracePeriodSeconds -}}
{{- else -}}
{{- add (default 0 $values.preStopSeconds | int) $drain 15 -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.caVolume" -}}
{{- with .Values.caBundle }}
{{- if .existingSecret }}
- name: ca
  secret: { secretName: {{ .existingSecret }} }
{{- else if .existingConfigMap }}
- name: ca
  configMap: { name: {{ .existingConfigMap }} }
{{- end }}
{{- end }}
{{- end -}}

{{- define "glyphmill.caMount" -}}
{{- if or .Values.caBundle.existingSecret .Values.caBundle.existingConfigMap }}
- { name: ca, mountPath: /etc/glyphmill/ca, readOnly: true }
{{- end }}
{{- end -}}
