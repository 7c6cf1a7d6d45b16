//! Who may depend on whom, and which crates keep out of what.

use super::Violation;
use crate::workspace::{Dependency, DependencyKind, Package};

const OURS: &str = "superstep-";
const FACADE: &str = "superstep";

/// Our crates and those of ours that each may depend on.
const ARROWS: [(&str, &[&str]); 25] = [
    ("superstep-algorithms", &[]),
    ("superstep-graph", &[]),
    ("superstep-engine", &["graph"]),
    ("superstep-store", &["engine", "graph"]),
    ("superstep-sim", &["engine", "store", "graph"]),
    ("superstep-inference", &[]),
    ("superstep-runtime", &["engine", "store", "graph", "inference", "algorithms"]),
    ("superstep-providers", &["runtime", "engine", "graph"]),
    ("superstep-tools", &["runtime", "engine", "graph"]),
    ("superstep-telemetry", &["runtime", "engine", "graph"]),
    ("superstep", &["runtime", "tools", "graph", "engine", "store"]),
    ("superstep-api", &["graph"]),
    ("superstep-provision", &["runtime", "providers", "tools", "api", "graph", "engine", "store"]),
    ("superstep-serving", &["provision", "runtime", "api", "graph", "engine"]),
    ("superstep-proto", &[]),
    ("superstep-transport", &[]),
    ("superstep-leases", &[]),
    ("superstep-wire", &["proto", "runtime", "graph", "engine"]),
    ("superstep-operator", &["api", "graph", "proto", "transport", "leases"]),
    (
        "superstep-worker",
        &[
            "wire",
            "proto",
            "transport",
            "leases",
            "serving",
            "provision",
            "telemetry",
            "runtime",
            "graph",
            "engine",
            "store",
        ],
    ),
    (
        "superstep-cli",
        &[
            "wire",
            "proto",
            "transport",
            "serving",
            "provision",
            "runtime",
            "telemetry",
            "api",
            "graph",
            "engine",
            "store",
        ],
    ),
    ("superstep-witness", &["worker", "runtime", "engine", "store"]),
    ("superstep-faults", &["witness", "worker", "wire", "proto", "transport", "engine", "store"]),
    ("superstep-e2e", &["witness", "engine", "store"]),
    ("xtask", &[]),
];

/// Crates of plain data and pure decisions: no IO, async, clock or randomness, by naming all that they may use.
const PURE: [&str; 3] = ["superstep-graph", "superstep-engine", "superstep-algorithms"];
const PURE_DEPENDENCIES: [&str; 8] =
    ["blake3", "indexmap", "schemars", "serde", "serde_json", "smallvec", "strsim", "thiserror"];

const TENSORS: [&str; 2] = ["candle", "cudarc"];

/// Checks the dependency tables of our packages; what only tests use is free.
pub(super) fn check(packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        if !ARROWS.iter().any(|(name, _)| *name == package.name) {
            let what = format!("`{}` has no place in the table of arrows", package.name);
            violations.push(Violation::new(&package.manifest, 1, "arrow", what));
        }
        let used = package.dependencies.iter().filter(|found| found.kind != DependencyKind::Development);
        violations.extend(used.filter_map(|dependency| judge(package, dependency)));
    }
    violations
}

fn judge(package: &Package, dependency: &Dependency) -> Option<Violation> {
    let name = dependency.name.as_str();
    let arrow = |what: String| Some(Violation::new(&package.manifest, 1, "arrow", what));
    if let Some(target) = name.strip_prefix(OURS).or((name == FACADE).then_some(FACADE)) {
        let allowed = ARROWS.iter().find(|(from, _)| *from == package.name).map_or(&[][..], |(_, to)| to);
        return if allowed.contains(&target) {
            None
        } else {
            arrow(format!("`{}` must not depend on `{name}`", package.name))
        };
    }
    if PURE.contains(&package.name.as_str()) && !PURE_DEPENDENCIES.contains(&name) {
        return arrow(format!("`{}` is pure and must not depend on `{name}`", package.name));
    }
    let tensors = TENSORS.iter().any(|prefix| name.starts_with(prefix));
    if tensors && package.name != "superstep-inference" {
        return arrow(format!("only superstep-inference names `{name}`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(package: &str, dependency: &str, kind: DependencyKind) -> usize {
        let dependencies = vec![Dependency { name: dependency.to_owned(), kind }];
        let manifest = format!("{package}/Cargo.toml").into();
        check(&[Package {
            name: package.to_owned(),
            manifest,
            dependencies,
            binaries: Vec::new(),
            features: Vec::new(),
        }])
        .len()
    }

    #[test]
    fn arrows() {
        for (package, dependency) in [
            ("superstep-graph", "superstep-engine"),
            ("superstep-api", "superstep-runtime"),
            ("superstep-engine", "tokio"),
            ("superstep-graph", "rand"),
            ("superstep-cli", "candle-core"),
            ("superstep-runtime", "cudarc"),
            ("superstep-tools", "superstep-store"),
            ("superstep-cli", "superstep"),
            ("superstep-cli", "superstep-tools"),
            ("superstep-provision", "superstep-cli"),
            ("superstep-other", "serde"),
        ] {
            assert_eq!(count(package, dependency, DependencyKind::Normal), 1, "{package} -> {dependency}");
        }
        for (package, dependency) in [
            ("superstep-engine", "superstep-graph"),
            ("superstep-engine", "serde"),
            ("superstep-runtime", "superstep-inference"),
            ("superstep-runtime", "tokio"),
            ("superstep", "superstep-tools"),
            ("superstep-inference", "candle-core"),
        ] {
            assert_eq!(count(package, dependency, DependencyKind::Normal), 0, "{package} -> {dependency}");
        }
    }

    #[test]
    fn tests_may_use_more() {
        assert_eq!(count("superstep-graph", "proptest", DependencyKind::Development), 0);
        assert_eq!(count("superstep-graph", "cc", DependencyKind::Build), 1);
    }
}
