{{/* "yes" where objects of the Prometheus operator are to be made. */}}
{{- define "glyphmill.prometheusOperator" -}}
{{- $mode := .Values.monitoring.prometheusOperator -}}
{{- if or (eq $mode "always") (and (eq $mode "auto") (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}
yes
{{- end -}}
{{- end -}}

{{/* Labels of such an object: (list $ "api"). */}}
{{- define "glyphmill.monitorLabels" -}}
{{ include "glyphmill.labels" . }}
{{- with (index . 0).Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
