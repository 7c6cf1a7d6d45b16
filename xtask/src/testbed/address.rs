//! Where things are on the testbed's network. The files in `tests/e2e/testbed/config` name the same places.

/// The machine, as pods see it.
pub(super) const MACHINE: &str = "10.89.255.1";
/// The node, with the API server on it.
pub(super) const NODE: &str = "10.89.255.2";
pub(super) const PODS: &str = "10.89.0.0/20";
pub(super) const SERVICES: &str = "10.97.0.0/16";
/// The first address of [`SERVICES`], which the API server takes for itself.
pub(super) const API_SERVICE: &str = "10.97.0.1";
/// The API server, for those on the machine and in the cluster alike.
pub(super) const API: &str = "https://10.89.255.2:6443";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{SOURCES, cgroups};
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_files_name_the_same_places() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SOURCES).join("config");
        let bind = format!("bind {NODE}\n");
        let endpoint = format!("addresses: [{NODE}]");
        let pods = format!("clusterCIDR: {PODS}\n");
        let subnet = format!("\"subnet\": \"{PODS}\"");
        let cgroup = format!("cgroupRoot: /{}\n", cgroups::NAME);
        for (file, expected) in [
            ("Corefile", &bind),
            ("cluster.yaml", &endpoint),
            ("proxy.yaml", &pods),
            ("cni/10-testbed.conflist", &subnet),
            ("kubelet.yaml", &cgroup),
        ] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(text.contains(expected.as_str()), "{file} lacks `{expected}`");
        }
        assert!(API.contains(NODE));
        assert_eq!(SERVICES.strip_suffix("0/16"), API_SERVICE.strip_suffix('1'));
    }
}
