use serde_json::json;

use super::*;
use crate::mutation::{Capabilities, MutationOrder};

struct Anything;

impl ProgramCheck for Anything {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }
    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

fn base() -> GraphSpec {
    serde_json::from_value(json!({
        "entry": ["a"],
        "models": [
            {"name": "small", "modelServerRef": {"name": "small"}},
            {"name": "large", "modelServerRef": {"name": "large"}},
        ],
        "vertices": [
            {"name": "a", "function": {"cel": "1"}},
            {"name": "b", "prompt": {"model": "small", "template": "hello"}},
        ],
        "edges": [{"from": "a", "to": "b"}],
        "mutations": {"allow": ["addVertex", "addEdge", "set"]},
    }))
    .unwrap()
}

fn request(class: PriorityClass, requester: &str, mutation: serde_json::Value) -> Request {
    let capabilities = match class {
        PriorityClass::Person | PriorityClass::Optimiser => Capabilities::unlimited(),
        PriorityClass::Vertex => Capabilities::of(&base().vertices[0]),
    };
    let mutation = serde_json::from_value(mutation).unwrap();
    Request {
        order: MutationOrder { class, requester: requester.into(), request: 0 },
        mutation,
        capabilities,
    }
}

fn person(requester: &str, mutation: serde_json::Value) -> Request {
    request(PriorityClass::Person, requester, mutation)
}

fn names(fold: &Fold) -> Vec<&str> {
    fold.spec.vertices.iter().map(|vertex| vertex.name.as_str()).collect()
}

#[test]
fn kinds_apply_in_pregels_order_whatever_the_order_of_requests() {
    let requests = [
        person("p", json!({"set": {"vertex": "b", "field": "function.cel", "value": "3"}})),
        person("p", json!({"addVertex": {"name": "b", "function": {"cel": "2"}}})),
        person("p", json!({"removeVertex": {"name": "b"}})),
    ];
    let outcome = fold(&base(), &[], &requests, 10, &Anything);
    assert_eq!(outcome.verdicts, [Verdict::Applied, Verdict::Applied, Verdict::Applied]);
    assert_eq!(outcome.removed, [VertexName::from("b")]);
    assert_eq!(outcome.spec.vertices[1].function.as_ref().unwrap().cel.as_deref(), Some("3"));
}

#[test]
fn the_order_of_requests_does_not_matter() {
    let mut requests = vec![
        person("p", json!({"addVertex": {"name": "c", "function": {"cel": "1"}}})),
        person("q", json!({"addVertex": {"name": "c", "function": {"cel": "2"}}})),
        person("q", json!({"removeEdge": {"from": "a", "to": "b"}})),
        request(PriorityClass::Vertex, "a", json!({"addVertex": {"name": "c", "function": {"cel": "1"}}})),
    ];
    let forward = fold(&base(), &[], &requests, 10, &Anything);
    requests.reverse();
    let mut backward = fold(&base(), &[], &requests, 10, &Anything);
    backward.verdicts.reverse();
    assert_eq!(forward, backward);
    assert_eq!(forward.verdicts[1], Verdict::Refused(Refusal::Claimed("vertex \"c\"".into())));
    assert_eq!(forward.verdicts[3], Verdict::Collapsed);
    assert_eq!(names(&forward), ["a", "b", "c"]);
}

#[test]
fn a_field_conflicts_with_its_own_prefixes() {
    let requests = [
        person("p", json!({"set": {"vertex": "b", "field": "prompt.template", "value": "x"}})),
        person(
            "q",
            json!({"set": {"vertex": "b", "field": "prompt", "value": {"model": "small", "template": "y"}}}),
        ),
        person("q", json!({"set": {"vertex": "b", "field": "prompt.model", "value": "large"}})),
    ];
    let outcome = fold(&base(), &[], &requests, 10, &Anything);
    assert_eq!(outcome.verdicts[0], Verdict::Applied);
    assert!(matches!(outcome.verdicts[1], Verdict::Refused(Refusal::Claimed(_))));
    assert_eq!(outcome.verdicts[2], Verdict::Applied);
    let prompt = outcome.spec.vertices[1].prompt.clone().unwrap();
    assert_eq!((prompt.model.as_str(), prompt.template.as_str()), ("large", "x"));
}

#[test]
fn requests_are_checked_one_at_a_time() {
    for (mutation, refused) in [
        (json!({"removeEdge": {"from": "b", "to": "a"}}), true),
        (json!({"removeVertex": {"name": "z"}}), true),
        (json!({"addVertex": {"name": "a", "function": {"cel": "1"}}}), true),
        (json!({"addVertex": {"name": "No-Name", "function": {"cel": "1"}}}), true),
        (json!({"addVertex": {"name": "c"}}), true),
        (json!({"addEdge": {"from": "a", "to": "b"}}), true),
        (json!({"set": {"vertex": "a", "field": "name", "value": "z"}}), true),
        (json!({"set": {"vertex": "a", "field": "function.cell", "value": "z"}}), true),
        (json!({"set": {"field": "function.cel", "value": "z"}}), true),
        (json!({"set": {"vertex": "a", "field": "", "value": null}}), true),
        (json!({"set": {"vertex": "a", "field": "retry.", "value": null}}), true),
        (json!({"set": {"vertex": "a", "field": "timeuot", "value": null}}), true),
        (json!({"set": {"vertex": "a", "field": "retry.maxAttempt", "value": null}}), true),
        (json!({"addEdge": {"from": "a", "to": "nobody"}}), false),
        (json!({"set": {"edge": {"from": "a", "to": "b"}, "field": "when", "value": "true"}}), false),
    ] {
        let outcome = fold(&base(), &[], &[person("p", mutation.clone())], 10, &Anything);
        assert_eq!(
            matches!(outcome.verdicts[0], Verdict::Refused(_)),
            refused,
            "{mutation}: {:?}",
            outcome.verdicts
        );
        assert_eq!(
            outcome.spec == {
                let mut sorted = base();
                sorted.sort();
                sorted
            },
            refused,
            "{mutation}"
        );
    }
}

#[test]
fn a_vertex_neither_exceeds_the_policy_nor_widens_what_it_may() {
    let ask = |mutation| {
        fold(&base(), &[], &[request(PriorityClass::Vertex, "a", mutation)], 10, &Anything).verdicts.remove(0)
    };
    assert!(matches!(ask(json!({"removeVertex": {"name": "b"}})), Verdict::Refused(Refusal::NotAllowed(_))));
    let prompt = json!({"addVertex": {"name": "c", "prompt": {"model": "small", "template": "x"}}});
    assert!(matches!(ask(prompt), Verdict::Refused(Refusal::Widens { .. })));
    let set = json!({"set": {"vertex": "b", "field": "prompt.template", "value": "x"}});
    assert!(matches!(ask(set), Verdict::Refused(Refusal::Widens { .. })));
    let send = json!({"addVertex": {"name": "c", "function": {"cel": "1"}, "sends": "Any"}});
    assert!(matches!(ask(send), Verdict::Refused(Refusal::Widens { .. })));
    assert_eq!(ask(json!({"addVertex": {"name": "c", "function": {"cel": "1"}}})), Verdict::Applied);
}

#[test]
fn a_vertex_hands_on_only_what_it_reaches_itself() {
    let tool = json!({"tool": {"name": "weather"}});
    let repeated = json!({"tool": {"name": "weather"}, "onUnknown": "Retry"});
    let granted = json!({"function": {"cel": "1"}, "capabilities": {"tools": ["weather"]}});
    let command = |argv: &[&str]| json!({"function": {"command": {"argv": argv}}});
    let reading = json!({"function": {"command": {"argv": ["date"], "environment": ["TOKEN"]}}});
    for (requester, added, capability) in [
        (&tool, &tool, None),
        (&granted, &tool, None),
        (&tool, &granted, None),
        (&json!({"function": {"cel": "1"}}), &tool, Some("tool weather")),
        (&json!({"function": {"cel": "1"}}), &granted, Some("tool weather")),
        (&tool, &repeated, Some("repeated calls of tool weather")),
        (&repeated, &repeated, None),
        (&command(&["date"]), &command(&["date"]), None),
        (&command(&["date"]), &command(&["date", "-u"]), Some("command [\"date\", \"-u\"]")),
        (&command(&["date"]), &reading, Some("variable TOKEN of the environment")),
        (&reading, &command(&["date"]), None),
    ] {
        let spec = |value: &serde_json::Value, name: &str| {
            let mut value = value.clone();
            value["name"] = json!(name);
            value
        };
        let mut base = base();
        base.tools =
            serde_json::from_value(json!([{"name": "weather", "custom": {"name": "weather"}}])).unwrap();
        let mut asked = request(PriorityClass::Vertex, "a", json!({"addVertex": spec(added, "c")}));
        asked.capabilities = Capabilities::of(&serde_json::from_value(spec(requester, "a")).unwrap());
        let verdict = fold(&base, &[], &[asked], 10, &Anything).verdicts.remove(0);
        let expected = match capability {
            None => Verdict::Applied,
            Some(capability) => {
                Verdict::Refused(Refusal::Widens { vertex: "c".into(), capability: capability.to_owned() })
            }
        };
        assert_eq!(verdict, expected, "{requester} adds {added}");
    }
}

#[test]
fn the_allowance_is_not_exceeded() {
    let add = |name: &str| person("p", json!({"addVertex": {"name": name, "function": {"cel": "1"}}}));
    let outcome = fold(&base(), &[], &[add("d"), add("e")], 1, &Anything);
    assert_eq!(outcome.verdicts.iter().filter(|verdict| **verdict == Verdict::Applied).count(), 1);
    assert!(outcome.verdicts.contains(&Verdict::Refused(Refusal::Limit)));
}

fn any_mutation() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let ends = (name.clone(), name.clone());
    prop_oneof![
        name.clone().prop_map(|name| json!({"removeVertex": {"name": name}})),
        (name.clone(), 0i64..3).prop_map(
            |(name, cel)| json!({"addVertex": {"name": name, "function": {"cel": cel.to_string()}}})
        ),
        ends.clone().prop_map(|(from, to)| json!({"removeEdge": {"from": from, "to": to}})),
        (ends, any::<bool>())
            .prop_map(|((from, to), retain)| json!({"addEdge": {"from": from, "to": to, "retain": retain}})),
        (name, 0i64..3).prop_map(
            |(name, cel)| json!({"set": {"vertex": name, "field": "function.cel", "value": cel.to_string()}})
        ),
    ]
}

proptest::proptest! {
    #[test]
    fn no_order_of_requests_changes_what_is_applied(
        mutations in proptest::collection::vec(any_mutation(), 0..12),
        rotation in 0usize..12,
    ) {
        let requests: Vec<Request> = (0u32..)
            .zip(mutations)
            .map(|(number, mutation)| {
                let mut request = person(["p", "q"][number as usize % 2], mutation);
                request.order.request = number;
                request
            })
            .collect();
        let forward = fold(&base(), &[], &requests, 100, &Anything);
        let mut turned = requests.clone();
        turned.rotate_left(rotation % requests.len().max(1));
        let mut other = fold(&base(), &[], &turned, 100, &Anything);
        other.verdicts.rotate_right(rotation % requests.len().max(1));
        proptest::prop_assert_eq!(forward, other);
    }
}

fn adopt(document: &GraphSpec) -> serde_json::Value {
    json!({"adopt": document})
}

#[test]
fn a_changed_document_takes_what_barriers_applied() {
    let vertex = |name: &str, mutation| request(PriorityClass::Vertex, name, mutation);
    let past = [
        vec![
            person("ann", json!({"addVertex": {"name": "c", "function": {"cel": "3"}}})),
            person("ann", json!({"removeVertex": {"name": "b"}})),
        ],
        vec![
            person("ben", json!({"set": {"vertex": "c", "field": "function.cel", "value": "4"}})),
            vertex("a@1", json!({"addEdge": {"from": "a", "to": "c"}})),
        ],
    ];
    let now = past.iter().fold(base(), |spec, barrier| fold(&spec, &[], barrier, 10, &Anything).spec);
    let mut document = base();
    document.vertices[0].value = json!("new");
    document.vertices.retain(|vertex| vertex.name.as_str() != "b");
    document.edges.clear();
    let requests = [
        person("cid", json!({"removeEdge": {"from": "a", "to": "c"}})),
        person("document2", adopt(&document)),
        // An older one.
        person("document1", adopt(&base())),
    ];
    let changed = fold(&now, &past, &requests, 10, &Anything);
    assert_eq!(changed.verdicts, [Verdict::Applied, Verdict::Applied, Verdict::Applied]);
    assert_eq!((names(&changed), changed.removed.as_slice()), (vec!["a", "c"], &[][..]));
    assert_eq!(changed.spec.vertices[0].value, json!("new"));
    let cel = |spec: &GraphSpec| spec.vertices[1].function.as_ref().and_then(|function| function.cel.clone());
    assert_eq!(cel(&changed.spec).as_deref(), Some("4"));
    assert!(changed.spec.edges.is_empty(), "the edge was removed from the new document");
    // What has no place in a document is back with one that has it.
    let mut without = document.clone();
    without.mutations.allow.clear();
    let without = fold(&now, &past, &[person("d", adopt(&without))], 10, &Anything);
    assert!(without.spec.edges.is_empty());
    let back = fold(&without.spec, &past, &[person("d", adopt(&document))], 10, &Anything);
    assert_eq!(back.spec.edges.len(), 1);
}

#[test]
fn documents_that_are_wrong_unasked_for_or_not_wanted_are_refused() {
    let mut document = base();
    document.vertices.remove(1);
    document.mutations.allow.clear();
    let one = |base: &GraphSpec, asked: Request| fold(base, &[], &[asked], 10, &Anything);
    let refused = |base: &GraphSpec, asked: Request| match one(base, asked).verdicts.remove(0) {
        Verdict::Refused(refusal) => refusal.to_string(),
        other @ (Verdict::Applied | Verdict::Collapsed) => panic!("{other:?}"),
    };
    let dangling = refused(&base(), person("d", adopt(&document)));
    assert!(dangling.contains("the graph would be invalid: edges[0].to"), "{dangling}");
    document.edges.clear();
    assert_eq!(one(&base(), person("d", adopt(&document))).removed, ["b".into()]);
    let mut greedy = base();
    greedy.mutations.allow.push(MutationKind::Adopt);
    let by_a_vertex = refused(&greedy, request(PriorityClass::Vertex, "a@0", adopt(&document)));
    assert!(by_a_vertex.contains("allows its vertices no Adopt"), "{by_a_vertex}");
    let mut pinned = base();
    pinned.mutations.adopt = crate::spec::Adoption::Pinned;
    assert!(refused(&pinned, person("d", adopt(&document))).contains("Pinned"));
}

#[test]
fn a_graph_that_denies_takes_nothing_of_its_vertices_and_all_of_people() {
    let mut closed = base();
    closed.mutations.governance = Governance::Deny;
    let add = |name: &str| json!({"addVertex": {"name": name, "function": {"cel": "1"}}});
    let requests = [request(PriorityClass::Vertex, "a@0", add("c")), person("ann", add("d"))];
    let outcome = fold(&closed, &[], &requests, 10, &Anything);
    assert_eq!(outcome.verdicts, [Verdict::Refused(Refusal::Forbidden), Verdict::Applied]);
    assert_eq!(names(&outcome), ["a", "b", "d"]);
    // The document decides: a changed one takes back what it would have refused.
    let past = [vec![request(PriorityClass::Vertex, "a@0", add("c"))]];
    let adopted = fold(&base(), &past, &[person("d", adopt(&closed))], 10, &Anything);
    assert_eq!(names(&adopted), ["a", "b"]);
    // What was approved was decided on, and is applied to a document again that lets people decide.
    let mut asking = base();
    asking.mutations.governance = Governance::Propose;
    let adopted = fold(&base(), &past, &[person("d", adopt(&asking))], 10, &Anything);
    assert_eq!(names(&adopted), ["a", "b", "c"]);
}

#[test]
fn what_somebody_has_denied_is_refused_in_his_words_and_claims_nothing() {
    let add = json!({"addVertex": {"name": "c", "function": {"cel": "1"}}});
    let denied = |class, requester, why: serde_json::Value| {
        request(class, requester, json!({"denied": {"mutation": add, "why": why}}))
    };
    let requests = [
        denied(PriorityClass::Vertex, "a@0", json!("too dear")),
        denied(PriorityClass::Vertex, "a@1", json!(null)),
        // A person cannot apply it by writing it like this.
        denied(PriorityClass::Person, "ann", json!(null)),
        request(PriorityClass::Vertex, "a@2", add.clone()),
    ];
    let outcome = fold(&base(), &[], &requests, 10, &Anything);
    let told = |verdict: &Verdict| match verdict {
        Verdict::Refused(refusal) => refusal.to_string(),
        Verdict::Applied => "applied".to_owned(),
        Verdict::Collapsed => "collapsed".to_owned(),
    };
    let told: Vec<String> = outcome.verdicts.iter().map(told).collect();
    let denied = "it was proposed, and denied";
    assert_eq!(told, [format!("{denied}: too dear").as_str(), denied, denied, "applied"]);
    assert_eq!(requests[0].mutation.asked(), &requests[3].mutation);
}

#[test]
fn a_run_keeps_its_parameters() {
    let with = |default: serde_json::Value| {
        let mut spec = serde_json::to_value(base()).unwrap();
        spec["parameters"] =
            json!({"schema": {"properties": {"tone": {}, "length": {}}}, "default": default});
        serde_json::from_value::<GraphSpec>(spec).unwrap()
    };
    let run = with(json!({"tone": "warm", "gone": 1}));
    let document = with(json!({"tone": "formal", "length": 3}));
    let changed = fold(&run, &[], &[person("d", adopt(&document))], 10, &Anything).spec;
    assert_eq!(changed.parameters_with(&json!(null)), json!({"tone": "warm", "length": 3}));
}
