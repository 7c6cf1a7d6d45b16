//! JSON that travels: shared, immutable, cheap to clone.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

mod checked;
mod items;
mod reference;

use checked::Checked;
pub use reference::Reference;

/// An immutable JSON value. Cloning shares it, and a list shares its items: one that was made of payloads becomes one
/// value only for those who ask for that, and an item of a value is a part of it. Binary formats store it as JSON text,
/// for they cannot describe it themselves; what comes from there stays text until somebody asks for the value, and an
/// item of it too.
///
/// A payload may be [kept elsewhere](Self::reference). Then it says nothing: it is null to whoever asks, and whoever
/// hands it to a program fetches it first.
#[derive(Clone)]
pub struct Payload(Arc<Form>);

enum Form {
    Value {
        value: Value,
        /// How deep lists and objects are nested in it, once somebody has asked: who sends a value on asks again.
        depth: OnceLock<u8>,
    },
    /// An item of a list that is a value.
    Item {
        list: Payload,
        at: usize,
        /// As that of a value.
        depth: OnceLock<u8>,
    },
    List {
        items: Vec<Payload>,
        whole: OnceLock<Value>,
    },
    /// Text that was seen to be JSON.
    Text {
        text: Box<str>,
        depth: u8,
        whole: OnceLock<Value>,
    },
    /// Text that is kept elsewhere.
    Kept(Reference),
}

/// What a payload says that is kept elsewhere.
static NOTHING: Value = Value::Null;

/// Whether lists and objects are nested more than `levels` deep in `value`.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    usize::from(depth(value, levels)) > levels
}

/// How deep lists and objects are nested in `value`; one more than `levels` where they are deeper than that, so that
/// no nesting is too deep to be looked at.
fn depth(value: &Value, levels: usize) -> u8 {
    let below = |inner: &Value| if levels == 0 { 0 } else { depth(inner, levels - 1) };
    let deepest = match value {
        Value::Array(items) => items.iter().map(below).max(),
        Value::Object(members) => members.values().map(below).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + deepest.unwrap_or(0)
}

impl Payload {
    /// How many lists and objects may be nested in a payload that a run takes in. What reads a log allows
    /// a few more, so that every record that was written can be read.
    pub const MAX_DEPTH: usize = 100;

    /// JSON null; all of them share one value.
    pub fn null() -> Self {
        static NULL: LazyLock<Payload> = LazyLock::new(|| Payload::from(Value::Null));
        NULL.clone()
    }

    /// The payload that a text says, which is read when its value is first asked for.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn from_json(text: impl Into<Box<str>>) -> serde_json::Result<Self> {
        let text = text.into();
        let Checked { depth } = serde_json::from_str(&text)?;
        Ok(Self(Arc::new(Form::Text { text, depth, whole: OnceLock::new() })))
    }

    /// A payload whose text is kept elsewhere.
    pub fn kept(reference: Reference) -> Self {
        Self(Arc::new(Form::Kept(reference)))
    }

    /// Where its text is, if it is kept elsewhere.
    pub fn reference(&self) -> Option<Reference> {
        match &*self.0 {
            Form::Kept(reference) => Some(*reference),
            Form::Value { .. } | Form::Item { .. } | Form::List { .. } | Form::Text { .. } => None,
        }
    }

    /// It as JSON text.
    pub fn to_json(&self) -> Cow<'_, str> {
        match &*self.0 {
            Form::Text { text, .. } => Cow::Borrowed(text),
            Form::Kept(_) => Cow::Borrowed("null"),
            Form::Value { .. } | Form::Item { .. } | Form::List { .. } => {
                Cow::Owned(serde_json::to_string(&Plain(self)).expect("a value of JSON is JSON"))
            }
        }
    }

    /// The value. The first call on a list of payloads copies its items.
    pub fn value(&self) -> &Value {
        match &*self.0 {
            Form::Value { value, .. } => value,
            Form::Item { list, at, .. } => &list.value()[*at],
            Form::Kept(_) => &NOTHING,
            Form::Text { text, whole, .. } => {
                whole.get_or_init(|| serde_json::from_str(text).expect("it was seen to be JSON"))
            }
            Form::List { items, whole } => {
                whole.get_or_init(|| Value::Array(items.iter().map(|item| item.value().clone()).collect()))
            }
        }
    }

    /// Whether its value is `value`. No list of payloads is copied for that.
    pub(crate) fn says(&self, value: &Value) -> bool {
        match (&*self.0, value) {
            (Form::List { items, .. }, Value::Array(values)) => {
                items.len() == values.len() && items.iter().zip(values).all(|(item, value)| item.says(value))
            }
            (Form::List { .. }, _) => false,
            (Form::Value { .. } | Form::Item { .. } | Form::Text { .. } | Form::Kept(_), _) => {
                self.value() == value
            }
        }
    }

    /// Whether it is nested deeper than [`MAX_DEPTH`](Self::MAX_DEPTH).
    pub fn is_too_deep(&self) -> bool {
        self.is_deeper(Self::MAX_DEPTH)
    }

    fn is_deeper(&self, levels: usize) -> bool {
        match &*self.0 {
            Form::Value { depth: known, .. } | Form::Item { depth: known, .. } => {
                usize::from(*known.get_or_init(|| depth(self.value(), Self::MAX_DEPTH))) > levels
            }
            Form::Text { depth, .. } => usize::from(*depth) > levels,
            Form::Kept(_) => false,
            Form::List { items, .. } => levels == 0 || items.iter().any(|item| item.is_deeper(levels - 1)),
        }
    }

    /// Whether both are one and the same, as those are that one activation sends to several vertices. What is
    /// equal need not be.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        match &*self.0 {
            Form::Value { value, .. } => value.is_null(),
            Form::Text { text, .. } => text.trim_ascii() == "null",
            // An item that is null is the one that all share.
            Form::Item { .. } | Form::List { .. } | Form::Kept(_) => false,
        }
    }

    /// A list of payloads as one payload.
    pub fn list<'a>(items: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::from(items.into_iter().cloned().collect::<Vec<Self>>())
    }

    /// The items, if it is a list. None is copied: those of a list of payloads are shared, and those of a value are
    /// parts of it, which hold the whole list as long as one of them is there. Those of a text that nobody has asked
    /// for its value are texts of their own.
    pub fn items(&self) -> Option<Cow<'_, [Self]>> {
        match &*self.0 {
            Form::List { items, .. } => Some(Cow::Borrowed(items)),
            Form::Text { text, whole, .. } if whole.get().is_none() => items::of(text).map(Cow::Owned),
            Form::Value { .. } | Form::Item { .. } | Form::Text { .. } | Form::Kept(_) => {
                let items = self.value().as_array()?;
                Some(items.iter().enumerate().map(|(at, item)| self.item(at, item)).collect())
            }
        }
    }

    /// The item at a position of its value.
    fn item(&self, at: usize, item: &Value) -> Self {
        match item {
            Value::Null => Self::null(),
            Value::Bool(_) | Value::Number(_) => Self::from(item.clone()),
            Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Self(Arc::new(Form::Item { list: self.clone(), at, depth: OnceLock::new() }))
            }
        }
    }

    /// How many items it has, if it is a list.
    pub fn len_of_list(&self) -> Option<usize> {
        match &*self.0 {
            Form::List { items, .. } => Some(items.len()),
            Form::Text { text, whole, .. } if whole.get().is_none() => items::count(text),
            Form::Value { .. } | Form::Item { .. } | Form::Text { .. } | Form::Kept(_) => {
                self.value().as_array().map(Vec::len)
            }
        }
    }

    /// Appends an item: null becomes a list of it, a value that is no list becomes the list's first
    /// item. No item is copied.
    pub(crate) fn append(&mut self, item: Self) {
        if let Some(Form::List { items, whole }) = Arc::get_mut(&mut self.0) {
            items.push(item);
            whole.take();
            return;
        }
        let mut items = match self.items() {
            Some(items) => items.into_owned(),
            None if self.is_null() => Vec::new(),
            None => vec![self.clone()],
        };
        items.push(item);
        *self = Self::from(items);
    }
}

impl From<Vec<Self>> for Payload {
    /// A list of payloads as one payload.
    fn from(items: Vec<Self>) -> Self {
        Self(Arc::new(Form::List { items, whole: OnceLock::new() }))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self(Arc::new(Form::Value { value, depth: OnceLock::new() }))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Payload").field(self.value()).finish()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        if let (Form::Text { text: one, .. }, Form::Text { text: two, .. }) = (&*self.0, &*other.0)
            && one == two
        {
            return true;
        }
        match (self.reference(), other.reference()) {
            (None, None) => self.is_same(other) || self.value() == other.value(),
            (one, two) => one == two,
        }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Plain(self).serialize(serializer);
        }
        serializer.serialize_str(&self.to_json())
    }
}

/// The JSON itself, without the text that binary formats are given.
struct Plain<'a>(&'a Payload);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0.0 {
            Form::Value { .. } | Form::Item { .. } | Form::Text { .. } | Form::Kept(_) => {
                self.0.value().serialize(serializer)
            }
            Form::List { items, .. } => serializer.collect_seq(items.iter().map(Plain)),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        if deserializer.is_human_readable() {
            return Value::deserialize(deserializer).map(Self::from);
        }
        Self::from_json(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Serde for members whose shape a binary format cannot describe: JSON text there, themselves in
/// formats that people read.
pub(crate) mod as_json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return value.serialize(serializer);
        }
        serializer.serialize_str(&serde_json::to_string(value).map_err(S::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            return T::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Payload {
        Payload::from((0..levels).fold(Value::from(1), |inner, level| {
            if level % 2 == 0 { json!([inner]) } else { json!({"in": inner}) }
        }))
    }

    #[test]
    fn what_may_be_recorded_can_be_read_again() {
        assert!(!nested(Payload::MAX_DEPTH).is_too_deep());
        assert!(nested(Payload::MAX_DEPTH + 1).is_too_deep());
        assert!(!Payload::list(&[nested(Payload::MAX_DEPTH - 1)]).is_too_deep());
        assert!(Payload::list(&[nested(Payload::MAX_DEPTH)]).is_too_deep());
        let text = nested(Payload::MAX_DEPTH).value().to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *nested(Payload::MAX_DEPTH).value());
    }

    #[test]
    fn a_depth_that_is_known_is_that_of_the_value_and_of_no_more_than_is_asked_about() {
        for levels in [0, 1, 2, Payload::MAX_DEPTH, Payload::MAX_DEPTH + 1, 3 * Payload::MAX_DEPTH] {
            let payload = nested(levels);
            let too_deep = levels > Payload::MAX_DEPTH;
            assert_eq!((payload.is_too_deep(), payload.is_too_deep()), (too_deep, too_deep), "{levels}");
            let around = Payload::list(&[Payload::null(), payload.clone()]);
            assert_eq!(around.is_too_deep(), levels + 1 > Payload::MAX_DEPTH, "{levels} in a list");
        }
        assert!(!Payload::from(json!([])).is_deeper(1) && Payload::from(json!({})).is_deeper(0));
    }

    #[test]
    fn what_a_list_says_is_told_without_a_copy() {
        let item = Payload::from(json!({"a": [1]}));
        let list = Payload::list(&[item.clone(), Payload::list(&[Payload::null(), item])]);
        assert!(list.says(&json!([{"a": [1]}, [null, {"a": [1]}]])));
        let others = [json!([{"a": [1]}, [null, {"a": [2]}]]), json!([{"a": [1]}]), json!(null), json!({})];
        for other in others {
            assert!(!list.says(&other), "{other}");
        }
        assert!(matches!(&*list.0, Form::List { whole, .. } if whole.get().is_none()));
        let text = Payload::from_json("[1, null]").unwrap();
        assert!(
            text.says(&json!([1, null])) && !text.says(&json!([1])) && Payload::null().says(&json!(null))
        );
    }

    #[test]
    fn the_items_of_a_value_are_parts_of_it_also_when_nothing_else_holds_it() {
        let list = Payload::from(json!([null, 7, "x", [1, ["y"]], {"a": [1]}]));
        let items = list.items().unwrap();
        for (at, item) in items.iter().enumerate() {
            let whole = &list.value()[at];
            assert_eq!(item.value(), whole);
            assert_eq!(std::ptr::eq(item.value(), whole), at >= 2, "{whole}");
            assert_eq!(postcard::to_stdvec(item), postcard::to_stdvec(&Payload::from(whole.clone())));
            assert_eq!(serde_json::to_value(item).unwrap(), *whole);
            assert!(item.says(whole) && *item == Payload::from(whole.clone()));
            assert_eq!(item.len_of_list(), whole.as_array().map(Vec::len));
            assert_eq!((item.is_null(), item.reference()), (whole.is_null(), None));
        }
        assert!(!items[3].is_deeper(2) && items[3].is_deeper(1) && !items[2].is_deeper(0));
        let inner = items[3].items().unwrap()[1].clone();
        let mut last = items.last().unwrap().clone();
        drop(items);
        drop(list);
        assert_eq!((inner.value(), last.value()), (&json!(["y"]), &json!({"a": [1]})));
        last.append(Payload::null());
        assert_eq!(last.value(), &json!([{"a": [1]}, null]));
    }

    #[test]
    fn what_is_too_deep_is_so_as_an_item_too() {
        for levels in [Payload::MAX_DEPTH, Payload::MAX_DEPTH + 1] {
            let list = json!([nested(levels).value()]);
            for list in [Payload::from_json(list.to_string()).unwrap(), Payload::from(list)] {
                let item = &list.items().unwrap()[0];
                assert_eq!((item.is_too_deep(), list.is_too_deep()), (levels > Payload::MAX_DEPTH, true));
            }
        }
    }

    #[test]
    fn the_items_of_a_text_are_told_without_its_value() {
        let is_text =
            |payload: &Payload| matches!(&*payload.0, Form::Text { whole, .. } if whole.get().is_none());
        let text = " [ null,\n1.50, \"\\u0061\", [1, [ ] ],{ \"b\": 1, \"a\":2,\"b\":3 } ]";
        let list = Payload::from_json(text).unwrap();
        assert!(!list.is_deeper(3) && list.is_deeper(2));
        assert_eq!(list.len_of_list(), Some(5));
        let items = list.items().unwrap().into_owned();
        assert!(is_text(&list) && is_text(&items[3]) && is_text(&items[4]));
        assert!(!items[3].is_deeper(2) && items[3].is_deeper(1));
        // They are written as those of the value are, not as they stand in the text.
        let value: Value = serde_json::from_str(text).unwrap();
        for (item, value) in items.iter().zip(value.as_array().unwrap()) {
            assert_eq!(item.to_json(), value.to_string());
            assert_eq!(item.value(), value);
        }
        assert_eq!(list.value(), &value);
        let parts = list.items().unwrap();
        assert!(std::ptr::eq(parts[4].value(), &list.value()[4]), "its value is there, and is shared");
        assert_eq!(list.len_of_list(), Some(5));
    }

    fn shared(one: &Payload, two: &Payload) -> bool {
        Arc::ptr_eq(&one.0, &two.0)
    }

    #[test]
    fn a_list_of_payloads_is_the_json_list_of_them() {
        let inner = Payload::list(&[Payload::from(json!("b")), Payload::null()]);
        let list = Payload::list(&[Payload::from(json!({"a": 1})), inner.clone()]);
        let same = json!([{"a": 1}, ["b", null]]);
        assert_eq!(serde_json::to_value(&list).unwrap(), same);
        assert_eq!(list, Payload::from(same.clone()));
        assert_eq!(list.value(), &same);
        assert_eq!(list.len_of_list(), Some(2));
        assert!(shared(&list.items().unwrap()[1], &inner));
        let bytes = postcard::to_stdvec(&list).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&Payload::from(same)).unwrap());
        assert_eq!(postcard::from_bytes::<Payload>(&bytes).unwrap(), list);
    }

    #[test]
    fn what_is_appended_is_seen_and_older_clones_stay() {
        for (before, after) in [
            (json!(null), json!([7])),
            (json!("x"), json!(["x", 7])),
            (json!({"a": 1}), json!([{"a": 1}, 7])),
            (json!([1, 2]), json!([1, 2, 7])),
            (json!([]), json!([7])),
        ] {
            let old = Payload::from(before.clone());
            let mut new = old.clone();
            new.append(Payload::from(json!(7)));
            assert_eq!((old.value(), new.value()), (&before, &after));
            let seen = new.clone();
            new.append(Payload::from(json!(8)));
            assert_eq!(seen.value(), &after);
            drop(seen);
            // It was looked at as a whole before, and is unshared here.
            assert_eq!(new.value().as_array().unwrap().last(), Some(&json!(8)));
            new.append(Payload::from(json!(9)));
            assert_eq!(new.value().as_array().unwrap().last(), Some(&json!(9)));
        }
    }

    #[test]
    fn text_is_json_or_refused_and_says_what_its_value_says() {
        for text in [
            "nul",
            "1 2",
            "[1,",
            "{\"a\":}",
            "\"\\ud800\"",
            "1e999",
            "",
            "{1:2}",
            &"[".repeat(200),
            "\"\u{1}\"",
        ] {
            assert!(Payload::from_json(text).is_err(), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        let values = [json!(null), json!({"a": [1, -2, 1.5, true, "\u{e9}\n"]}), json!([]), json!("x")];
        for value in values.into_iter().chain([nested(Payload::MAX_DEPTH).value().clone()]) {
            let (text, plain) = (value.to_string(), Payload::from(value.clone()));
            let payload = Payload::from_json(text.as_str()).unwrap();
            assert_eq!(payload.is_null(), plain.is_null());
            assert_eq!(payload.to_json(), text);
            assert_eq!(payload.len_of_list(), plain.len_of_list());
            assert_eq!(postcard::to_stdvec(&payload).unwrap(), postcard::to_stdvec(&plain).unwrap());
            assert_eq!(serde_json::to_value(&payload).unwrap(), value);
            assert_eq!(payload, plain);
            let (mut appended, mut expected) = (payload, plain);
            appended.append(Payload::from(json!(7)));
            expected.append(Payload::from(json!(7)));
            assert_eq!(appended, expected);
        }
    }

    #[test]
    fn what_is_kept_elsewhere_says_nothing_and_is_nothing_else() {
        let reference = |bytes| Reference { digest: [7; 32], bytes };
        let kept = Payload::kept(reference(9));
        assert_eq!(kept.reference(), Some(reference(9)));
        assert_eq!(kept, Payload::kept(reference(9)));
        assert_ne!(kept, Payload::kept(reference(8)));
        assert_ne!(kept, Payload::null());
        assert!(!kept.is_null() && kept.items().is_none() && kept.len_of_list().is_none());
        assert_eq!((kept.value(), &*kept.to_json()), (&json!(null), "null"));
        assert_eq!(Payload::from(json!("x")).reference(), None);
    }

    #[test]
    fn only_lists_have_items() {
        for value in [json!(null), json!(1), json!("x"), json!({"a": [1]}), json!(true)] {
            let payload = Payload::from(value);
            assert!(payload.items().is_none() && payload.len_of_list().is_none(), "{payload:?}");
        }
        assert_eq!(Payload::from(json!([1])).items().unwrap().as_ref(), [Payload::from(json!(1))]);
    }
}
