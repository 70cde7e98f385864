{{- define "glyphmill.validateSecrets" -}}
{{- if not .Values.apiKeys.existingSecret -}}
{{- fail "apiKeys.existingSecret is empty: make a key with `glyphmill key create --tenant <name> --file api-keys.json`, a Secret with `kubectl create secret generic glyphmill-api-keys --from-file=api-keys.json`, and name it here" -}}
{{- end -}}
{{- if not .Values.webhookSigning.existingSecret -}}
{{- fail "webhookSigning.existingSecret is empty: make it with `kubectl create secret generic glyphmill-webhook --from-literal=WEBHOOK_SIGNING_KEY=$(openssl rand -hex 32)`, and name it here" -}}
{{- end -}}
{{- if and .Values.caBundle.existingSecret .Values.caBundle.existingConfigMap -}}
{{- fail "caBundle.existingSecret and caBundle.existingConfigMap are both set: put all certificates into one of them and leave the other empty" -}}
{{- end -}}
{{- if and .Values.webhookSigning.previousKey (eq .Values.webhookSigning.previousKey .Values.webhookSigning.key) -}}
{{- fail "webhookSigning.previousKey is the same as webhookSigning.key: put the old signing key under a key of its own in the Secret" -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.validateTracing" -}}
{{- if .Values.tracing.existingSecret -}}
{{- range $app := list "api" "worker" "webhook" -}}
{{- if not (include "glyphmill.setting" (list $ $app "OTEL_EXPORTER_OTLP_ENDPOINT") | fromJson) -}}
{{- fail "tracing.existingSecret is set and config.OTEL_EXPORTER_OTLP_ENDPOINT is not: name the collector there, or leave tracing.existingSecret empty" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.validateRedis" -}}
{{- $redis := .Values.redis -}}
{{- if .Values.valkey.enabled -}}
{{- if or $redis.host $redis.urlKey -}}
{{- fail "valkey.enabled is true and redis.host or redis.urlKey names another Redis: set valkey.enabled to false to use that one, or leave both empty" -}}
{{- end -}}
{{- if not $redis.existingSecret -}}
{{- fail "valkey.enabled needs a password: make it with `kubectl create secret generic glyphmill-redis --from-literal=REDIS_PASSWORD=$(openssl rand -hex 32)`, and set redis.existingSecret to its name" -}}
{{- end -}}
{{- else if $redis.urlKey -}}
{{- if not $redis.existingSecret -}}
{{- fail "redis.urlKey is set without redis.existingSecret: name the Secret that has the URL under that key" -}}
{{- end -}}
{{- if or $redis.host $redis.tls -}}
{{- fail "redis.urlKey is set, so that redis.host and redis.tls count for nothing: put them into the URL of the Secret (rediss:// speaks TLS), and leave them out here" -}}
{{- end -}}
{{- else if not $redis.host -}}
{{- fail "no Redis is named: set redis.host, or redis.existingSecret and redis.urlKey, or valkey.enabled to try things out" -}}
{{- else if and $redis.existingSecret (not $redis.passwordKey) -}}
{{- fail "redis.existingSecret is set without redis.passwordKey: name the key of the password there, or redis.urlKey if the Secret has the whole URL" -}}
{{- end -}}
{{- end -}}

{{/* A quantity of CPU in thousandths; nothing for nothing. */}}
{{- define "glyphmill.millicores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}
{{- trimSuffix "m" $text -}}
{{- else if $text -}}
{{- mulf (float64 $text) 1000 | int64 -}}
{{- end -}}
{{- end -}}

{{/* Callers, ports and the time to stop, of all three apps. */}}
{{- define "glyphmill.validateProcesses" -}}
{{- range $app := list "api" "worker" "webhook" -}}
{{- $values := index $.Values $app -}}
{{- $drain := include "glyphmill.number" (list $ $app "SHUTDOWN_SECONDS") | int -}}
{{- $needed := add $drain (default 0 $values.preStopSeconds | int) -}}
{{- $grace := include "glyphmill.grace" (list $ $app) | int -}}
{{- if le $grace $needed -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d: it must exceed the %d s that the process takes to stop (%s.config.SHUTDOWN_SECONDS, and api.preStopSeconds of the API), or it is killed with work in hand. Leave it empty, or raise it to %d" $app $grace $needed $app (add $needed 15)) -}}
{{- end -}}
{{- range $name := ternary (list "API_PORT" "METRICS_PORT") (list "METRICS_PORT") (eq $app "api") -}}
{{- if eq (include "glyphmill.number" (list $ $app $name)) "0" -}}
{{- fail (printf "%s.config.%s is 0, a port that nobody knows: name one, or leave it out" $app $name) -}}
{{- end -}}
{{- end -}}
{{- $asked := include "glyphmill.millicores" (dig "requests" "cpu" "" $values.resources) -}}
{{- $granted := include "glyphmill.millicores" (dig "limits" "cpu" "" $values.resources) -}}
{{- if and $asked $granted (gt (int $asked) (int $granted)) -}}
{{- fail (printf "%s.resources.requests.cpu exceeds %s.resources.limits.cpu, and no such pod is taken: raise the limit with the request (one that your values leave out is the chart's own)" $app $app) -}}
{{- end -}}
{{- $known := index ($.Files.Get "files/settings.json" | fromJson) $app -}}
{{- range $values.extraEnv -}}
{{- if or (has .name $known) (has .name (list "REDIS_URL" "REDIS_PASSWORD" "WEBHOOK_SIGNING_KEY" "WEBHOOK_PREVIOUS_SIGNING_KEY" "S3_ACCESS_KEY_ID" "S3_SECRET_ACCESS_KEY" "API_KEYS_FILE" "INFERENCE_PROVIDER" "SCALING_TARGET_SECONDS" "OTEL_EXPORTER_OTLP_HEADERS")) -}}
{{- fail (printf "%s.extraEnv names %s, which the chart sets itself: set it under %s.config, or a secret by the values under `redis`, `s3`, `apiKeys`, `webhookSigning` and `tracing`" $app .name $app) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (include "glyphmill.number" (list . "api" "API_PORT")) (include "glyphmill.number" (list . "api" "METRICS_PORT")) -}}
{{- fail "api.config.API_PORT and api.config.METRICS_PORT are the same: give each a port of its own" -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.validateAccess" -}}
{{- $api := .Values.api -}}
{{- if and $api.ingress.enabled (not $api.ingress.hosts) -}}
{{- fail "api.ingress.enabled is true and api.ingress.hosts is empty: name the hosts it is for; without one it would take every host of the cluster" -}}
{{- end -}}
{{- if and $api.httpRoute.enabled (not $api.httpRoute.parentRefs) -}}
{{- fail "api.httpRoute.enabled is true and api.httpRoute.parentRefs is empty: name the Gateway to attach to, as [{name: <gateway>, namespace: <namespace>}]" -}}
{{- end -}}
{{- if and $api.autoscaling.enabled (not (dig "requests" "cpu" "" $api.resources)) -}}
{{- fail "api.autoscaling.enabled is true and api.resources.requests.cpu is not set: the autoscaler reckons in parts of that request; set it" -}}
{{- end -}}
{{- if and $api.autoscaling.enabled (gt (int $api.autoscaling.minReplicas) (int $api.autoscaling.maxReplicas)) -}}
{{- fail "api.autoscaling.minReplicas exceeds api.autoscaling.maxReplicas: lower the one or raise the other" -}}
{{- end -}}
{{- end -}}
