//! What was asked of the API server, as its audit log has it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::objects::{number, text};
use crate::release::NAMESPACE;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    /// With its subresource, as rules name it.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) code: i64,
    /// What was decided about the right to it; other refusals have other causes.
    decision: String,
}

/// The log from a place on.
pub(crate) struct Audit {
    path: PathBuf,
    from: u64,
}

impl Audit {
    /// From its end as it is.
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        let from = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
        Ok(Self { path: path.to_owned(), from })
    }

    /// From its begin.
    pub(crate) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), from: 0 }
    }

    /// What was added since. The last line may be half written, and is then left out.
    pub(crate) fn lines(&self) -> Result<Vec<Line>> {
        let mut file =
            File::open(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut lines = Vec::new();
        for line in BufReader::new(file).lines() {
            if let Ok(event) = serde_json::from_str::<Value>(&line?) {
                lines.push(Line::read(&event));
            }
        }
        Ok(lines)
    }
}

impl Line {
    fn read(event: &Value) -> Self {
        let resource = text(event, "/objectRef/resource");
        let of = |pointer: &str| text(event, pointer).to_owned();
        Self {
            user: of("/user/username"),
            verb: of("/verb"),
            group: of("/objectRef/apiGroup"),
            resource: match text(event, "/objectRef/subresource") {
                "" => resource.to_owned(),
                part => format!("{resource}/{part}"),
            },
            name: of("/objectRef/name"),
            code: number(event, "/responseStatus/code").unwrap_or_default(),
            decision: of("/annotations/authorization.k8s.io~1decision"),
        }
    }

    pub(crate) fn is_of_operator(&self) -> bool {
        self.user == format!("system:serviceaccount:{NAMESPACE}:superstep-operator")
    }

    /// Whether a worker asked, of whatever graph.
    pub(crate) fn is_of_worker(&self) -> bool {
        self.user.starts_with("system:serviceaccount:e2e-") && self.user.ends_with("-worker")
    }

    pub(crate) fn was_allowed(&self) -> bool {
        self.decision != "forbid"
    }
}

/// What a rule gives, or a request used.
pub(crate) type Right = (String, String, String);

/// What was used, as (group, resource, verb). Server-side apply of what is not there takes two rights at once.
pub(crate) fn used<'a>(lines: impl Iterator<Item = &'a Line>) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for line in lines.filter(|line| line.was_allowed()) {
        let right = |verb: &str| (line.group.clone(), line.resource.clone(), verb.to_owned());
        used.insert(right(&line.verb));
        if line.verb == "patch" && line.code == 201 {
            used.insert(right("create"));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_apply_that_creates_uses_two_rights() {
        let event = |code: i64, decision: &str| {
            Line::read(&json!({
                "user": {"username": "u"}, "verb": "patch", "responseStatus": {"code": code},
                "annotations": {"authorization.k8s.io/decision": decision},
                "objectRef": {"resource": "agentgraphs", "subresource": "status", "apiGroup": "superstep.dev"},
            }))
        };
        let right =
            |verb: &str| ("superstep.dev".to_owned(), "agentgraphs/status".to_owned(), verb.to_owned());
        assert_eq!(used([event(200, "allow")].iter()), BTreeSet::from([right("patch")]));
        assert_eq!(used([event(201, "allow")].iter()), BTreeSet::from([right("create"), right("patch")]));
        assert_eq!(used([event(403, "forbid")].iter()), BTreeSet::new());
    }
}
