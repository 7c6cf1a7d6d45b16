{{/*
What the operator may do in the namespaces that it looks after. An object is made by server-side apply, which takes
`create` and `patch`; what a graph always has goes with it, and is never deleted by the operator. Of Superstep's kinds it may change status, and of runs and patches what holds and owns them; their
specs are kept from it by admission.yaml. It has no right to Secrets.
*/}}
{{- define "superstep.rules" -}}
- apiGroups: [superstep.dev]
  resources: [agentgraphs, agentgraphpatches, graphruns, modelservers]
  verbs: [get, list, watch]
- apiGroups: [superstep.dev]
  resources: [agentgraphs/status, agentgraphpatches/status, graphruns/status, modelservers/status]
  verbs: [patch]
# Runs are held until those who work on them know that they go, and deleted when their time is over.
- apiGroups: [superstep.dev]
  resources: [graphruns]
  verbs: [delete, patch]
# What a vertex asked for is shown as a patch, and patches of a run go with it.
- apiGroups: [superstep.dev]
  resources: [agentgraphpatches]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [create, get, list, patch, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, get, list, patch, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings, roles]
  verbs: [create, get, list, patch, watch]
# It makes the Lease of each graph, and gives workers the right to renew it and to make it anew: nobody gives what he has not got.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, get, patch, update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
