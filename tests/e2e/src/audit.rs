//! What was asked of the API server, as its audit log has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::objects::{number, text, time_of_day};
use crate::release::{NAMESPACE, OPERATOR};

/// What gives rights.
const GIVING: [&str; 4] = ["clusterrolebindings", "clusterroles", "rolebindings", "roles"];

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// When it came, in a form whose order is that of time.
    came: String,
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    /// With its subresource, as rules name it.
    pub(crate) resource: String,
    /// Of the object; none of one that is in none.
    namespace: String,
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
            came: of("/requestReceivedTimestamp"),
            user: of("/user/username"),
            verb: of("/verb"),
            group: of("/objectRef/apiGroup"),
            resource: match text(event, "/objectRef/subresource") {
                "" => resource.to_owned(),
                part => format!("{resource}/{part}"),
            },
            namespace: of("/objectRef/namespace"),
            name: of("/objectRef/name"),
            code: number(event, "/responseStatus/code").unwrap_or_default(),
            decision: of("/annotations/authorization.k8s.io~1decision"),
        }
    }

    pub(crate) fn is_of_operator(&self) -> bool {
        self.user == format!("system:serviceaccount:{NAMESPACE}:{OPERATOR}")
    }

    /// Whether a worker asked, of whatever graph.
    pub(crate) fn is_of_worker(&self) -> bool {
        self.user.starts_with("system:serviceaccount:e2e-") && self.user.ends_with("-worker")
    }

    pub(crate) fn was_allowed(&self) -> bool {
        self.decision != "forbid"
    }

    /// The namespace whose accounts have other rights after it, and whether they have less. What is in no namespace is the
    /// operator's.
    fn changes_rights(&self) -> Option<(&str, bool)> {
        let gives = GIVING.contains(&self.resource.as_str()) && (200..300).contains(&self.code);
        let namespace = match self.namespace.as_str() {
            "" if self.name == OPERATOR => NAMESPACE,
            "" => return None,
            namespace => namespace,
        };
        match self.verb.as_str() {
            "delete" | "deletecollection" if gives => Some((namespace, true)),
            "create" | "patch" if gives && self.code == 201 => Some((namespace, false)),
            _ => None,
        }
    }

    fn asked(&self) -> Asked<'_> {
        (&self.user, &self.verb, &self.group, &self.resource)
    }

    /// The time of the day at which it came.
    fn time(&self) -> Option<Duration> {
        time_of_day(&self.came)
    }

    /// The namespace of the account that asked.
    fn of_account(&self) -> Option<&str> {
        Some(self.user.strip_prefix("system:serviceaccount:")?.split_once(':')?.0)
    }
}

/// What was refused for want of a right, but for what accounts asked whose rights had just been taken, or just been given: a
/// process lives for a moment when what it was installed with is deleted, and an API server that has much to do hears of
/// rights a moment after they were given, and answers otherwise from then on.
pub(crate) fn refused(lines: &[Line]) -> Vec<&Line> {
    let mut lines: Vec<&Line> = lines.iter().collect();
    // A line is written when the answer is given, which may be after that of a request that came later.
    lines.sort_by(|one, other| one.came.cmp(&other.came));
    let (mut lost, mut refused) = (BTreeSet::new(), Vec::new());
    // By namespace, what was allowed since rights were given there, and where the refusals before that stand in `refused`.
    let mut given: BTreeMap<&str, Given<'_>> = BTreeMap::new();
    for line in lines {
        match line.changes_rights() {
            Some((namespace, true)) => {
                lost.insert(namespace);
                given.remove(namespace);
            }
            Some((namespace, false)) => {
                lost.remove(namespace);
                given.entry(namespace).or_default();
            }
            None => {}
        }
        let namespace = line.of_account();
        if !line.was_allowed() && namespace.is_some_and(|namespace| lost.contains(namespace)) {
            continue;
        }
        let since = namespace.and_then(|namespace| given.get_mut(namespace));
        match since {
            Some(since) if line.was_allowed() => {
                since.early.remove(&line.asked()).into_iter().flatten().for_each(|at| refused[at] = None);
                since.allowed.insert(line.asked());
            }
            Some(since) => {
                if !since.allowed.contains(&line.asked()) {
                    since.early.entry(line.asked()).or_default().push(refused.len());
                }
                refused.push(Some(line));
            }
            None if line.was_allowed() => {}
            None => refused.push(Some(line)),
        }
    }
    refused.into_iter().flatten().collect()
}

/// Who asks for what: user, verb, group and resource.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What became of requests since rights were given.
#[derive(Default)]
struct Given<'a> {
    allowed: BTreeSet<Asked<'a>>,
    /// Those that were refused and never allowed before.
    early: BTreeMap<Asked<'a>, Vec<usize>>,
}

/// How many objects of a namespace were deleted of what belongs together, and how long that took from the first to the last.
/// `whole` says by its name what an object belongs to.
pub(crate) fn deletions<'a>(
    lines: &'a [Line],
    namespace: &str,
    whole: impl Fn(&'a str) -> Option<&'a str>,
) -> BTreeMap<&'a str, (usize, Duration)> {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut all: BTreeMap<&str, (usize, Duration, Duration)> = BTreeMap::new();
    // They stand in the order in which they were answered.
    let mut deleted: Vec<(&str, Duration)> = lines
        .iter()
        .filter(|line| {
            line.verb == "delete" && line.namespace == namespace && (200..300).contains(&line.code)
        })
        .filter_map(|line| Some((whole(&line.name)?, line.time()?)))
        .collect();
    // A test that begins before midnight may end after it.
    let late = deleted.iter().any(|(_, time)| *time > DAY / 2);
    for (_, time) in &mut deleted {
        *time += if late && *time < DAY / 2 { DAY } else { Duration::ZERO };
    }
    for (name, time) in deleted {
        let (count, first, last) = all.entry(name).or_insert((0, time, time));
        (*count, *first, *last) = (*count + 1, (*first).min(time), (*last).max(time));
    }
    all.into_iter().map(|(name, (count, first, last))| (name, (count, last - first))).collect()
}

/// What a rule gives, or a request used.
pub(crate) type Right = (String, String, String);

/// What was used, as (group, resource, verb). Server-side apply of what is not there takes two rights at once, and so does a
/// `PUT` to its name.
pub(crate) fn used<'a>(lines: impl Iterator<Item = &'a Line>) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for line in lines.filter(|line| line.was_allowed()) {
        let right = |verb: &str| (line.group.clone(), line.resource.clone(), verb.to_owned());
        used.insert(right(&line.verb));
        if matches!(line.verb.as_str(), "patch" | "update") && line.code == 201 {
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
    fn an_apply_or_a_replacement_that_creates_uses_two_rights() {
        let event = |verb: &str, code: i64, decision: &str| {
            Line::read(&json!({
                "user": {"username": "u"}, "verb": verb, "responseStatus": {"code": code},
                "annotations": {"authorization.k8s.io/decision": decision},
                "objectRef": {"resource": "agentgraphs", "subresource": "status", "apiGroup": "superstep.dev"},
            }))
        };
        let right =
            |verb: &str| ("superstep.dev".to_owned(), "agentgraphs/status".to_owned(), verb.to_owned());
        for verb in ["patch", "update"] {
            assert_eq!(used([event(verb, 200, "allow")].iter()), BTreeSet::from([right(verb)]));
            let both = BTreeSet::from([right("create"), right(verb)]);
            assert_eq!(used([event(verb, 201, "allow")].iter()), both);
            assert_eq!(used([event(verb, 403, "forbid")].iter()), BTreeSet::new());
        }
    }

    #[test]
    fn what_belongs_together_is_gone_when_the_last_of_it_is() {
        let line = |time: &str, verb: &str, namespace: &str, name: &str, code: i64| {
            Line::read(&json!({
                "requestReceivedTimestamp": format!("2026-01-01T{time}Z"), "verb": verb,
                "responseStatus": {"code": code}, "objectRef": {"namespace": namespace, "name": name},
            }))
        };
        let lines = [
            line("10:00:01.500000", "delete", "n", "g1", 200),
            line("10:00:04.000000", "delete", "n", "g1-worker", 200),
            line("10:01:03.250000", "delete", "n", "g1-runs", 202),
            line("10:59:00.000000", "delete", "n", "g1-graph", 404),
            line("10:59:00.000000", "patch", "n", "g1-graph", 200),
            line("10:59:00.000000", "delete", "other", "g1-graph", 200),
            line("10:00:02.000000", "delete", "n", "g2", 200),
            line("10:00:02.000000", "delete", "n", "x", 200),
        ];
        let times = deletions(&lines, "n", |name| name.get(..2));
        let expected = [("g1", (3, Duration::from_millis(61_750))), ("g2", (1, Duration::ZERO))];
        assert_eq!(times, BTreeMap::from(expected));
        let night = [
            line("00:00:01.000000", "delete", "n", "g1-a", 200),
            line("23:59:59.000000", "delete", "n", "g1", 200),
        ];
        assert_eq!(deletions(&night, "n", |name| name.get(..2))["g1"], (2, Duration::from_secs(2)));
    }

    #[test]
    fn a_refusal_counts_unless_rights_had_just_been_taken() {
        let line = |second: u32, user: &str, verb: &str, object: (&str, &str, &str), code: i64| {
            let (resource, namespace, name) = object;
            let decision = if code == 403 { "forbid" } else { "allow" };
            Line::read(&json!({
                "requestReceivedTimestamp": format!("2026-01-01T00:00:{second:02}.000000Z"),
                "user": {"username": user}, "verb": verb, "responseStatus": {"code": code},
                "annotations": {"authorization.k8s.io/decision": decision},
                "objectRef": {"resource": resource, "namespace": namespace, "name": name},
            }))
        };
        let (worker, operator) = (
            "system:serviceaccount:e2e-a:g-worker",
            "system:serviceaccount:superstep-system:superstep-operator",
        );
        let lease = ("leases", "e2e-a", "g-worker");
        let asks = |second: u32| line(second, worker, "get", lease, 403);
        let gets = |second: u32| line(second, worker, "get", lease, 200);
        let collects =
            |second: u32| line(second, "gc", "deletecollection", ("rolebindings", "e2e-a", ""), 200);
        let makes = |second: u32| line(second, operator, "patch", ("rolebindings", "e2e-a", "g-worker"), 201);
        let lists = |second: u32| line(second, operator, "list", ("pods", "", ""), 403);
        let uninstalls =
            |second: u32| line(second, "admin", "delete", ("clusterrolebindings", "", OPERATOR), 200);
        let other = |second: u32| line(second, "admin", "delete", ("clusterrolebindings", "", "other"), 200);
        for (lines, expected) in [
            (vec![asks(1)], 1),
            // Its line is written later.
            (vec![asks(2), collects(1)], 0),
            (vec![collects(1), makes(2), asks(3)], 1),
            // Rights that were given are known a moment later, and from then on.
            (vec![makes(1), asks(2), gets(3)], 0),
            (vec![makes(1), gets(2), asks(3), gets(4)], 1),
            (vec![asks(1), makes(2), gets(3)], 1),
            (vec![collects(1), lists(2)], 1),
            (vec![uninstalls(1), lists(2)], 0),
            (vec![other(1), lists(2)], 1),
        ] {
            assert_eq!(refused(&lines).len(), expected, "{lines:?}");
        }
    }
}
