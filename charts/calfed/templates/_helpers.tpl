{{/* Name of everything: the release's, with the chart's where that is not in it. */}}
{{- define "calfed.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- trunc 48 $name | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which pods are found. */}}
{{- define "calfed.selector" -}}
app.kubernetes.io/name: calfed
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: manager
{{- end -}}

{{/* Labels of every object; those that the chart sets win. */}}
{{- define "calfed.labels" -}}
{{- $fixed := dict
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/version" .Chart.AppVersion
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- mergeOverwrite (deepCopy .Values.labels) $fixed (include "calfed.selector" . | fromYaml) | toYaml -}}
{{- end -}}

{{/* Metadata of an object in the release's namespace: (list $ suffix). */}}
{{- define "calfed.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "calfed.name" $ }}{{ index . 1 }}
namespace: {{ $.Release.Namespace }}
{{ include "calfed.about" $ }}
{{- end -}}

{{/* Labels and annotations of an object. */}}
{{- define "calfed.about" -}}
labels:
  {{- include "calfed.labels" . | nindent 2 }}
{{- with .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "calfed.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{/* Whether something is enabled that needs Prometheus Operator, and that is there: (list $ enabled). */}}
{{- define "calfed.monitored" -}}
{{- $ := index . 0 -}}
{{- if and (index . 1) ($.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") }}true{{ end -}}
{{- end -}}
