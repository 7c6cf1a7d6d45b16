//! What workers may ask of the API server: their lease, and nothing else.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::Plan;
use crate::children::Child;

pub(super) fn children(plan: &Plan<'_>) -> Vec<Child> {
    let name = plan.names().worker();
    let metadata = || plan.owner.metadata(&name, plan.names().labels());
    let account = ServiceAccount {
        metadata: metadata(),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    // Workers write to it, and make it anew if somebody deletes it; the operator only sees to it that it is there, and that it
    // goes with the graph.
    let lease = Lease { metadata: metadata(), spec: None };
    let role = Role {
        metadata: metadata(),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec!["coordination.k8s.io".to_owned()]),
            resources: Some(vec!["leases".to_owned()]),
            resource_names: Some(vec![name.clone()]),
            verbs: ["create", "get", "update"].map(str::to_owned).to_vec(),
            ..PolicyRule::default()
        }]),
    };
    let binding = RoleBinding {
        metadata: metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.clone(),
            namespace: Some(plan.owner.namespace.clone()),
            api_group: None,
        }]),
    };
    vec![Child::new(&account), Child::new(&lease), Child::new(&role), Child::new(&binding)]
}
