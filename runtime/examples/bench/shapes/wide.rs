//! Six vertices that go round and hold fifteen fields between them, most of them lists that grow.
//!
//! It stands for three shapes of LangGraph, whose six vertices share one state of these fields. Here a field is part of
//! the value of the vertex that writes it, and reaches others as a message. Values have no classes, so that this is one
//! shape where LangGraph has two: a dataclass that is made for each activation (`wide_state`), and a dict (`wide_dict`).
//! Where the state is a pydantic model, all its fields are validated before each activation (`pydantic_state`): here
//! all that an activation reads is, what came to it and what its vertex holds. The other fields cannot reach it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use superstep_engine::{Emission, Payload, ProgramResult, ValueChange, View};

use super::checked::{Holder, Kind, Schemas, register};
use super::{Work, custom, graph};

const ONE: Holder = Holder {
    vertex: "one",
    takes: Kind::Objects,
    fields: &[("trigger_events", Kind::Objects), ("primary_issue_medium", Kind::Text)],
};
const TWO: Holder = Holder {
    vertex: "two",
    takes: Kind::Objects,
    fields: &[("autoresponse", Kind::Object), ("issue", Kind::Object)],
};
const THREE: Holder =
    Holder { vertex: "three", takes: Kind::Object, fields: &[("relevant_rules", Kind::Objects)] };
const FOUR: Holder = Holder {
    vertex: "four",
    takes: Kind::Objects,
    fields: &[
        ("categorizations", Kind::Objects),
        ("responses", Kind::Objects),
        ("memory_docs", Kind::Objects),
    ],
};
const FIVE: Holder = Holder {
    vertex: "five",
    takes: Kind::Objects,
    fields: &[
        ("user_info", Kind::Object),
        ("crm_info", Kind::Object),
        ("email_thread_id", Kind::Text),
        ("slack_participants", Kind::Object),
        ("bot_id", Kind::Text),
        ("notified_assignees", Kind::Object),
    ],
};
const SIX: Holder = Holder { vertex: "six", takes: Kind::Objects, fields: &[("messages", Kind::Objects)] };

/// The shape until there are more than `n` messages, `checked` before each activation or not.
pub(super) fn work(n: usize, checked: bool) -> Work {
    let mut five = custom("five", "five");
    five["join"] = json!({"mode": "All", "of": ["three", "four"]});
    let graph = graph(json!({
        "entry": ["one"],
        "vertices": [
            custom("one", "one"), custom("two", "two"), custom("three", "three"), custom("four", "four"),
            five, custom("six", "six"),
        ],
        "edges": [
            {"from": "one", "to": "two"},
            {"from": "two", "to": "four"},
            {"from": "two", "port": "last", "to": "three"},
            {"from": "three", "to": "five"},
            {"from": "four", "to": "five"},
            {"from": "four", "port": "responses", "to": "six", "delivery": "Passive"},
            {"from": "five", "to": "six"},
            {"from": "six", "port": "again", "to": "one"},
        ],
    }));
    let rounds = rounds(n);
    let schemas = checked.then(|| Arc::new(Schemas::new()));
    let mut work = Work::new(graph, 5 * rounds, 6 * rounds).with(move |programs| {
        let schemas = schemas.as_ref();
        register(programs, &ONE, schemas, move |view| one(view, n));
        register(programs, &TWO, schemas, two);
        register(programs, &THREE, schemas, three);
        register(programs, &FOUR, schemas, four);
        register(programs, &FIVE, schemas, move |view| five_of(view, n));
        register(programs, &SIX, schemas, move |view| six(view, n));
    });
    work.input = Payload::from(Value::Array(vec![first_message(n)]));
    work
}

/// How often the graph goes round until it holds more than `n` messages.
fn rounds(n: usize) -> usize {
    let (mut messages, mut events, mut responses, mut rounds) = (1, 0, 0, 0);
    while messages <= n {
        events += messages;
        responses += events;
        messages += responses;
        rounds += 1;
    }
    rounds
}

fn first_message(n: usize) -> Value {
    let (outer, inner) = match n {
        300 => (5, 5),
        600 => (3, 5),
        _ => (3, 3),
    };
    let leaf: Vec<Value> = (0..5)
        .flat_map(|_| {
            [json!("hi?".repeat(10)), json!(true), json!(1), json!(6_327_816_386_138_u64), Value::Null]
        })
        .collect();
    let members = |count: usize, member: &dyn Fn() -> Value| -> Value {
        Value::Object((0..count).map(|at| (at.to_string().repeat(10), member())).collect::<Map<_, _>>())
    };
    members(outer, &|| members(inner, &|| Value::Array(leaf.clone())))
}

/// The list that a field holds, and its last item.
fn list(payload: Option<&Payload>) -> Vec<Payload> {
    payload.and_then(Payload::items).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

fn field(view: &View, at: usize) -> Vec<Payload> {
    list(list(Some(&view.value)).get(at))
}

fn joined(mut before: Vec<Payload>, after: Vec<Payload>) -> Payload {
    before.extend(after);
    Payload::from(before)
}

fn last(items: &[Payload]) -> Payload {
    items.last().cloned().unwrap_or_else(Payload::null)
}

fn came(view: &View) -> Payload {
    view.messages.first().map_or_else(|| view.input.clone(), |message| message.payload.clone())
}

/// `n` letters, others in each superstep.
fn letters(view: &View, n: usize) -> Payload {
    let mut state = view.superstep + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    Payload::from(Value::String((0..n).map(|_| next()).collect()))
}

fn result(value: Vec<Payload>, sent: Vec<(&str, Payload)>) -> ProgramResult {
    let emissions = sent.into_iter().map(|(port, payload)| Emission { port: port.into(), payload }).collect();
    ProgramResult { emissions, value: ValueChange::Set(Payload::from(value)), ..ProgramResult::default() }
}

/// Holds `trigger_events`, to which all messages are added, and `primary_issue_medium`.
fn one(view: &View, n: usize) -> ProgramResult {
    let events = joined(field(view, 0), list(Some(&came(view))));
    result(vec![events.clone(), letters(view, n)], vec![("out", events)])
}

/// Holds `autoresponse` and `issue`.
fn two(view: &View) -> ProgramResult {
    let events = came(view);
    let event = last(&list(Some(&events)));
    result(vec![event.clone(), event.clone()], vec![("out", events), ("last", event)])
}

/// Holds `relevant_rules`.
fn three(view: &View) -> ProgramResult {
    result(vec![Payload::from(vec![came(view)])], vec![("out", Payload::null())])
}

/// Holds `categorizations`, `responses` and `memory_docs`.
fn four(view: &View) -> ProgramResult {
    let events = list(Some(&came(view)));
    let categorizations = joined(field(view, 0), events.clone());
    let responses = joined(field(view, 1), events.clone());
    result(
        vec![categorizations.clone(), responses.clone(), Payload::from(events)],
        vec![("out", categorizations), ("responses", responses)],
    )
}

/// Holds the five fields about a user, and `notified_assignees`.
fn five_of(view: &View, n: usize) -> ProgramResult {
    let newest = last(&list(view.from(&"four".into())));
    let text = letters(view, n);
    let fields = vec![newest.clone(), newest.clone(), text.clone(), newest.clone(), text, newest];
    result(fields, vec![("out", Payload::null())])
}

/// Holds `messages`, to which all responses are added, and says whether the graph goes round again.
fn six(view: &View, n: usize) -> ProgramResult {
    let held = if view.value.is_null() { list(Some(&view.input)) } else { field(view, 0) };
    let messages = joined(held, list(view.from(&"four".into())));
    let port = if messages.len_of_list().is_some_and(|length| length > n) { "out" } else { "again" };
    result(vec![messages.clone()], vec![(port, messages)])
}
