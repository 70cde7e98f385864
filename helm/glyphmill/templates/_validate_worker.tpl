{{- define "glyphmill.validateWorker" -}}
{{- $worker := .Values.worker -}}
{{- $drain := include "glyphmill.number" (list . "worker" "SHUTDOWN_SECONDS") | int -}}
{{- /* What the worker keeps back at the end, for handing back jobs and closing what is open. */}}
{{- $needed := add (int $worker.longestBatchSeconds) 5 -}}
{{- if le $drain $needed -}}
{{- fail (printf "worker.config.SHUTDOWN_SECONDS is %d: it must exceed worker.longestBatchSeconds by more than 5 (here %d), or a stopping worker drops micro-batches that are running. Raise it, or lower longestBatchSeconds if yours are known to be shorter" $drain $needed) -}}
{{- end -}}
{{- if eq $worker.provider "gpu" -}}
{{- if and (gt (int $worker.gpu.count) 1) (or (contains "/mig-" $worker.gpu.resource) (hasSuffix ".shared" $worker.gpu.resource)) -}}
{{- fail (printf "worker.gpu.count is %d of %s: a process can use one MIG slice or one share of a GPU only. Set it to 1 and raise worker.replicas" (int $worker.gpu.count) $worker.gpu.resource) -}}
{{- end -}}
{{- if hasKey (default dict $worker.resources.limits) $worker.gpu.resource -}}
{{- fail (printf "worker.resources.limits names %s: set worker.gpu.resource and worker.gpu.count instead" $worker.gpu.resource) -}}
{{- end -}}
{{- else -}}
{{- if not (dig "limits" "cpu" "" $worker.resources) -}}
{{- fail "worker.resources.limits.cpu is not set: a CPU worker runs one recogniser for each CPU it may use, and without a limit for each of the node, with memory for none of them. Set it to whole CPUs" -}}
{{- end -}}
{{- end -}}
{{- if not (dig "limits" "memory" "" $worker.resources) -}}
{{- fail "worker.resources.limits.memory is not set: it reads strangers' files; set 3Gi for 2 CPUs, and 0.75Gi for each further one" -}}
{{- end -}}
{{- include "glyphmill.validateModels" . -}}
{{- end -}}

{{- define "glyphmill.validateModels" -}}
{{- $models := .Values.worker.models -}}
{{- if not (hasPrefix "/" (default "" .Values.worker.config.MODEL_REPOSITORY)) -}}
{{- fail "worker.config.MODEL_REPOSITORY is no absolute path: the chart mounts models there; leave it at /models" -}}
{{- end -}}
{{- if and (eq $models.delivery "pvc") (not $models.pvc.existingClaim) -}}
{{- fail "worker.models.delivery is pvc and worker.models.pvc.existingClaim is empty: name the claim of a volume with a model repository" -}}
{{- end -}}
{{- if eq $models.delivery "image" -}}
{{- if not $models.image.reference -}}
{{- fail "worker.models.delivery is image and worker.models.image.reference is empty: name the OCI image or artifact that holds the model repository" -}}
{{- end -}}
{{- if semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "worker.models.delivery is image, and Kubernetes %s has no image volumes (1.31 and later do): use baked, pvc or download" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and $models.image.subPath (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "worker.models.image.subPath is set, and Kubernetes %s cannot mount a part of an image volume (1.33 and later can): leave it empty, and put the models at the root of the image" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if eq $models.delivery "download" -}}
{{- if not $models.download.url -}}
{{- fail "worker.models.delivery is download and worker.models.download.url is empty: name the .tar.gz of a model repository" -}}
{{- end -}}
{{- if not $models.download.sha256 -}}
{{- fail "worker.models.delivery is download and worker.models.download.sha256 is empty: set it to what `sha256sum` prints of the archive, so that no other is ever run" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "glyphmill.validateScaling" -}}
{{- $scaling := .Values.worker.autoscaling -}}
{{- if ne $scaling.mode "none" -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail "worker.autoscaling.minReplicas exceeds worker.autoscaling.maxReplicas: lower the one or raise the other" -}}
{{- end -}}
{{- if and (eq $scaling.mode "hpa") (lt (int $scaling.minReplicas) 1) -}}
{{- fail "worker.autoscaling.minReplicas is 0 with mode hpa, and a HorizontalPodAutoscaler does not start from none: set it to 1, or use mode keda" -}}
{{- end -}}
{{- if and (eq $scaling.mode "keda") (not $scaling.keda.existingSecret) -}}
{{- fail "worker.autoscaling.mode is keda and worker.autoscaling.keda.existingSecret is empty: make an API key with `glyphmill key create --tenant autoscaler --scopes scaling:read --file api-keys.json`, put what it prints into a Secret and name that here" -}}
{{- end -}}
{{- if and (eq $scaling.mode "keda") (gt (int $scaling.keda.fallbackReplicas) (int $scaling.maxReplicas)) -}}
{{- fail "worker.autoscaling.keda.fallbackReplicas exceeds worker.autoscaling.maxReplicas: lower it" -}}
{{- end -}}
{{- end -}}
{{- end -}}
