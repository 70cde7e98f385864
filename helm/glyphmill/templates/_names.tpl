{{- define "glyphmill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Prefix of all names; 45 characters leave room for what is appended to it. */}}
{{- define "glyphmill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains (include "glyphmill.name" .) .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "glyphmill.name" .) | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes of a component's labels: (list $ "api"). */}}
{{- define "glyphmill.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "glyphmill.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object of a component: (list $ "api"). */}}
{{- define "glyphmill.labels" -}}
{{- $root := index . 0 -}}
{{ include "glyphmill.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: glyphmill
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image: (list $ $values.image $defaultTag). */}}
{{- define "glyphmill.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ default (index . 2) $image.tag }}
{{- end -}}
{{- end -}}

{{/* The service account of a component: (list $ "api"). */}}
{{- define "glyphmill.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- default (printf "%s-%s" (include "glyphmill.fullname" $root) $component) (index $root.Values $component).serviceAccount.name -}}
{{- end -}}
