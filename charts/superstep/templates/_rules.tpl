{{/*
What the operator may do in the namespaces that it looks after. An object is made by server-side apply, which takes
`create` and `patch`. It may write no spec of Superstep's kinds, no scale, and has no right to Secrets.
*/}}
{{- define "superstep.rules" -}}
- apiGroups: [superstep.dev]
  resources: [agentgraphs, agentgraphpatches, graphruns, modelservers]
  verbs: [get, list, watch]
- apiGroups: [superstep.dev]
  resources: [agentgraphs/status, agentgraphpatches/status, graphruns/status, modelservers/status]
  verbs: [patch]
# Runs go when their time is over.
- apiGroups: [superstep.dev]
  resources: [graphruns]
  verbs: [delete]
# A change that a vertex asked for is shown as a patch.
- apiGroups: [superstep.dev]
  resources: [agentgraphpatches]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings, roles]
  verbs: [create, delete, get, list, patch, watch]
# Workers are given these for the Lease of their graph, and nobody gives what he has not got.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, get, update]
- apiGroups: [""]
  resources: [persistentvolumeclaims, pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
