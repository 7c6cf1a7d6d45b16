//! Whether a text is JSON, without the values that it would make.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What a text says, which is forgotten but for its depth: it is accepted exactly where a value is.
pub(super) struct Checked {
    /// How deep lists and objects are nested in it; what reads JSON goes no deeper than this can tell.
    pub(super) depth: u8,
}

impl Checked {
    const FLAT: Self = Self { depth: 0 };

    /// A list or an object whose deepest member is as deep as `deepest`.
    fn around(deepest: u8) -> Self {
        Self { depth: deepest.saturating_add(1) }
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Check)
    }
}

struct Check;

impl<'de> Visitor<'de> for Check {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked::FLAT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        let mut deepest = 0;
        while let Some(item) = items.next_element::<Checked>()? {
            deepest = deepest.max(item.depth);
        }
        Ok(Checked::around(deepest))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Checked, A::Error> {
        let mut deepest = 0;
        while let Some((_, member)) = members.next_entry::<Checked, Checked>()? {
            deepest = deepest.max(member.depth);
        }
        Ok(Checked::around(deepest))
    }
}
