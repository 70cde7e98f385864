{{/* A setting of an app, by the app's own values before those of all: (list $ "api" "LOG_LEVEL"); as JSON, {} if unset. */}}
{{- define "glyphmill.setting" -}}
{{- $root := index . 0 -}}
{{- $own := (index $root.Values (index . 1)).config -}}
{{- $name := index . 2 -}}
{{- if hasKey $own $name -}}
{{- dict "value" (index $own $name) | toJson -}}
{{- else if hasKey $root.Values.config $name -}}
{{- dict "value" (index $root.Values.config $name) | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* A number among the settings: (list $ "api" "API_PORT"). */}}
{{- define "glyphmill.number" -}}
{{- $found := include "glyphmill.setting" . | fromJson -}}
{{- if not (hasKey $found "value") -}}
{{- fail (printf "%s.config.%s is not set: the chart needs it; leave it out of your values file to have its default" (index . 1) (index . 2)) -}}
{{- end -}}
{{- int64 $found.value -}}
{{- end -}}

{{/* The environment of an app: (list $ "api"). Secrets come first, since a later variable may hold an earlier one. */}}
{{- define "glyphmill.env" -}}
{{- $root := index . 0 -}}
{{- $app := index . 1 -}}
{{- include "glyphmill.redisEnv" $root }}
{{- if ne $app "webhook" }}
{{- include "glyphmill.s3Env" $root }}
{{- end }}
{{- if ne $app "worker" }}
{{- with $root.Values.webhookSigning }}
- name: WEBHOOK_SIGNING_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .key }} } }
{{- if and .previousKey (eq $app "webhook") }}
- name: WEBHOOK_PREVIOUS_SIGNING_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .previousKey }} } }
{{- end }}
{{- end }}
{{- end }}
{{- with $root.Values.tracing }}
{{- if .existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .key }} } }
{{- end }}
{{- end }}
{{- if eq $app "api" }}
- name: API_KEYS_FILE
  value: /etc/glyphmill/api-keys/{{ $root.Values.apiKeys.key }}
- name: SCALING_TARGET_SECONDS
  value: {{ $root.Values.worker.autoscaling.targetBacklogSeconds | quote }}
{{- else if eq $app "worker" }}
- name: INFERENCE_PROVIDER
  value: {{ ternary "cuda" "cpu" (eq $root.Values.worker.provider "gpu") }}
{{- end }}
{{- range index ($root.Files.Get "files/settings.json" | fromJson) $app }}
{{- $found := include "glyphmill.setting" (list $root $app .) | fromJson }}
{{- if hasKey $found "value" }}
- name: {{ . }}
  value: {{ include "glyphmill.text" $found.value | quote }}
{{- end }}
{{- end }}
{{- if or $root.Values.caBundle.existingSecret $root.Values.caBundle.existingConfigMap }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/glyphmill/ca/{{ $root.Values.caBundle.key }}
{{- end }}
{{- with (index $root.Values $app).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A value as its variable has it: numbers without an exponent, lists with commas. */}}
{{- define "glyphmill.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- else if kindIs "slice" . -}}
{{- join "," . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.redisEnv" -}}
{{- $redis := .Values.redis -}}
{{- if and $redis.urlKey (not .Values.valkey.enabled) }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ $redis.existingSecret }}, key: {{ $redis.urlKey }} } }
{{- else }}
{{- if $redis.existingSecret }}
- name: REDIS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $redis.existingSecret }}, key: {{ $redis.passwordKey }} } }
{{- end }}
- name: REDIS_URL
  value: {{ include "glyphmill.redisUrl" . | quote }}
{{- end }}
{{- end -}}

{{- define "glyphmill.redisUrl" -}}
{{- if .Values.valkey.enabled -}}
redis://:$(REDIS_PASSWORD)@{{ include "glyphmill.fullname" . }}-valkey:6379
{{- else -}}
{{- with .Values.redis -}}
{{ ternary "rediss" "redis" .tls }}://
{{- if .existingSecret }}{{ .username }}:$(REDIS_PASSWORD)@{{ else if .username }}{{ .username }}@{{ end -}}
{{ .host }}:{{ .port }}{{ with .database }}/{{ . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.s3Env" -}}
{{- with .Values.s3 }}
{{- if .existingSecret }}
- name: S3_ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .accessKeyIdKey }} } }
- name: S3_SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: {{ .secretAccessKeyKey }} } }
{{- end }}
{{- end }}
{{- end -}}
