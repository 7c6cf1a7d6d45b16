//! What the names of an expression stand for.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value;
use superstep_engine::{Payload, Received, View};
use superstep_graph::VertexName;

use super::convert::{object, to_cel};
use super::harden::FUEL;
use crate::roots::{Bindings, NO_ELEMENT, no_single_message};

const STEPS: u32 = 1_000_000;

/// Resolves dotted paths: CEL asks for the longest name first, so that only what an expression
/// reads is converted, not the document that it stands in.
pub(super) struct Resolver<'a> {
    bindings: Bindings<'a>,
    paths: &'a [String],
    /// Lists and objects that were converted already, one place per path: a loop reads them often.
    converted: Vec<OnceLock<Box<dyn Val + 'a>>>,
    steps_left: AtomicU32,
    may_go_on: CelBool,
    reason: OnceLock<String>,
}

enum Found<'a> {
    Json(&'a Value),
    Made(Box<dyn Val + 'a>),
    Nothing,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(bindings: Bindings<'a>, paths: &'a [String]) -> Self {
        Self {
            bindings,
            paths,
            converted: Vec::new(),
            steps_left: AtomicU32::new(STEPS),
            may_go_on: CelBool::from(true),
            reason: OnceLock::new(),
        }
        .with_places()
    }

    fn with_places(mut self) -> Self {
        self.converted.resize_with(self.paths.len(), OnceLock::new);
        self
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.steps_left.load(Ordering::Relaxed) == 0
    }

    /// Why a name stood for nothing, if one did.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    fn take_step(&self) -> bool {
        // One thread evaluates; the atomic is there for the trait's sake.
        let left = self.steps_left.load(Ordering::Relaxed).saturating_sub(1);
        self.steps_left.store(left, Ordering::Relaxed);
        left > 0
    }

    fn find(&self, name: &str) -> Found<'a> {
        let mut path = name.split('.');
        let root = path.next().unwrap_or_default();
        let (view, output) = match self.bindings {
            Bindings::Vertex(view) => (view, None),
            Bindings::Effects { view, output } => (view, Some(output)),
            Bindings::Edge(view) => {
                return match root {
                    "message" => walk(view.message, path),
                    "parameters" => walk(view.parameters, path),
                    "superstep" => number(view.superstep, path),
                    _ => Found::Nothing,
                };
            }
        };
        match root {
            "input" => walk(&view.input, path),
            "parameters" => walk(&view.parameters, path),
            "value" => walk(&view.value, path),
            "superstep" => number(view.superstep, path),
            "output" => output.map_or(Found::Nothing, |output| walk(output, path)),
            "element" => match &view.element {
                Some(element) => walk(element, path),
                None => self.nothing(|| NO_ELEMENT.to_owned()),
            },
            "message" => match view.messages.as_slice() {
                [message] => walk(&message.payload, path),
                messages => self.nothing(|| no_single_message(messages.len())),
            },
            "messages" => whole(path, || messages(view)),
            "from" => match path.next() {
                None => Found::Made(Box::new(senders(view))),
                Some(sender) => self.named(view.from(&VertexName::from(sender)), path, || {
                    format!("nothing came from {sender:?}")
                }),
            },
            "aggregates" => match path.next() {
                None => Found::Made(Box::new(aggregates(&view.aggregates))),
                Some(name) => {
                    let payload = view.aggregates.get(&VertexName::from(name));
                    self.named(payload, path, || format!("nothing was contributed to {name:?}"))
                }
            },
            _ => Found::Nothing,
        }
    }

    /// What is absent is null, but has no fields.
    fn named<'n>(
        &self,
        payload: Option<&'a Payload>,
        mut path: impl Iterator<Item = &'n str>,
        reason: impl FnOnce() -> String,
    ) -> Found<'a> {
        match payload {
            Some(payload) => walk(payload, path),
            None if path.next().is_none() => Found::Made(Box::new(CelNull)),
            None => self.nothing(reason),
        }
    }

    fn nothing(&self, reason: impl FnOnce() -> String) -> Found<'a> {
        self.reason.get_or_init(reason);
        Found::Nothing
    }
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if name == FUEL {
            return self.take_step().then_some(CowVal::Borrowed(&self.may_go_on));
        }
        let place = self.paths.iter().position(|path| path == name).map(|index| &self.converted[index]);
        if let Some(value) = place.and_then(OnceLock::get) {
            return Some(CowVal::Borrowed(value.as_ref()));
        }
        let value = match self.find(name) {
            Found::Nothing => return None,
            Found::Json(value @ (Value::Array(_) | Value::Object(_))) => to_cel(value),
            Found::Json(value) => return Some(CowVal::Owned(to_cel(value))),
            Found::Made(value) => value,
        };
        Some(match place {
            Some(place) => CowVal::Borrowed(place.get_or_init(|| value).as_ref()),
            None => CowVal::Owned(value),
        })
    }
}

fn walk<'a, 'n>(payload: &'a Payload, mut path: impl Iterator<Item = &'n str>) -> Found<'a> {
    let found = path.try_fold(payload.value(), |value, name| value.as_object()?.get(name));
    found.map_or(Found::Nothing, Found::Json)
}

fn whole<'a, 'n>(
    mut path: impl Iterator<Item = &'n str>,
    make: impl FnOnce() -> Box<dyn Val + 'a>,
) -> Found<'a> {
    if path.next().is_none() { Found::Made(make()) } else { Found::Nothing }
}

fn number<'a, 'n>(superstep: u64, path: impl Iterator<Item = &'n str>) -> Found<'a> {
    whole(path, || Box::new(CelInt::from(i64::try_from(superstep).unwrap_or(i64::MAX))))
}

fn messages(view: &View) -> Box<dyn Val + '_> {
    let items: Vec<Box<dyn Val + '_>> = view.messages.iter().map(received).collect();
    Box::new(CelList::from(items))
}

fn received(message: &Received) -> Box<dyn Val + '_> {
    let text = |text| -> Box<dyn Val + '_> { Box::new(CelString::from(text)) };
    Box::new(object([
        ("from", text(message.from.as_str())),
        ("port", text(message.port.as_str())),
        ("payload", to_cel(message.payload.value())),
    ]))
}

/// The last payload of each sender.
fn senders(view: &View) -> CelMap<'_> {
    let last = view.last_of_each().into_iter();
    object(last.map(|(sender, payload)| (sender.as_str(), to_cel(payload.value()))))
}

fn aggregates(aggregates: &BTreeMap<VertexName, Payload>) -> CelMap<'_> {
    object(aggregates.iter().map(|(name, payload)| (name.as_str(), to_cel(payload.value()))))
}
