//! What becomes of objects: the operator's children, and what is left of them.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::kubectl;
use crate::objects::name_of;

/// The kinds of what the operator makes, and of what is made of that.
pub(crate) const CHILDREN: &str = "statefulsets,deployments,replicasets,services,configmaps,serviceaccounts,roles,\
    rolebindings,networkpolicies,poddisruptionbudgets,pods,leases";
/// What is in every namespace.
const OF_EACH: [&str; 2] = ["ConfigMap/kube-root-ca.crt", "ServiceAccount/default"];

/// The children in a namespace, and objects of `other` kinds.
pub(crate) fn left(namespace: &str, other: &str) -> Result<BTreeSet<String>> {
    let kinds = format!("{CHILDREN},{other}");
    let all = kubectl::list(&[&kinds, "--namespace", namespace])?;
    Ok(all.iter().map(name_of).filter(|name| !OF_EACH.contains(&name.as_str())).collect())
}
