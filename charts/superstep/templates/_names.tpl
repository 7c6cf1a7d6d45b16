{{/* What the objects of a release are named after. */}}
{{- define "superstep.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Chart.Name -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "superstep.operator" -}}
{{- printf "%s-operator" (include "superstep.fullname" .) -}}
{{- end -}}

{{/* The Secret with the authority that certifies workers. */}}
{{- define "superstep.authority" -}}
{{- printf "%s-ca" (include "superstep.fullname" .) -}}
{{- end -}}

{{- define "superstep.account" -}}
{{- default (include "superstep.operator" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Workers let in who has the first and the last of these. */}}
{{- define "superstep.selector" -}}
app.kubernetes.io/name: superstep
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "superstep.labels" -}}
{{ include "superstep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "superstep.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "superstep.gpuImage" -}}
{{- with .Values.worker.gpuImage.repository -}}
{{- $tag := default $.Chart.AppVersion $.Values.image.tag -}}
{{- printf "%s:%s" . (default $tag $.Values.worker.gpuImage.tag) -}}
{{- end -}}
{{- end -}}

{{- define "superstep.workerImage" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- printf "%s:%s" .Values.worker.image.repository (default $tag .Values.worker.image.tag) -}}
{{- end -}}
