{{/* Requests and limits, with the GPU among the limits: of extended resources the requests follow from those. */}}
{{- define "glyphmill.workerResources" -}}
{{- $resources := deepCopy .Values.worker.resources -}}
{{- if eq .Values.worker.provider "gpu" -}}
{{- $limits := default dict $resources.limits -}}
{{- $_ := set $limits .Values.worker.gpu.resource (int .Values.worker.gpu.count) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "glyphmill.modelsMount" -}}
{{- $models := .Values.worker.models -}}
{{- $path := .Values.worker.config.MODEL_REPOSITORY -}}
{{- if eq $models.delivery "pvc" }}
- name: models
  mountPath: {{ $path | quote }}
  readOnly: {{ $models.pvc.readOnly }}
  {{- with $models.pvc.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
{{- else if eq $models.delivery "image" }}
- name: models
  mountPath: {{ $path | quote }}
  readOnly: true
  {{- with $models.image.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
{{- else if eq $models.delivery "download" }}
- { name: models, mountPath: {{ $path | quote }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "glyphmill.modelsVolume" -}}
{{- $models := .Values.worker.models -}}
{{- if eq $models.delivery "pvc" }}
- name: models
  persistentVolumeClaim: { claimName: {{ $models.pvc.existingClaim }} }
{{- else if eq $models.delivery "image" }}
- name: models
  image: { reference: {{ $models.image.reference | quote }}, pullPolicy: {{ $models.image.pullPolicy }} }
{{- else if eq $models.delivery "download" }}
- name: models
  emptyDir: { sizeLimit: {{ $models.download.sizeLimit }} }
{{- end }}
{{- end -}}
