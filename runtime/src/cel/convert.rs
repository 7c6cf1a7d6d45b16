//! JSON to CEL and back.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Map, Number, Value};

/// A JSON value as CEL sees it; texts are borrowed. A number is an int where it fits one, else a
/// uint, else a double.
pub(super) fn to_cel(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_cel).collect::<Vec<_>>())),
        Value::Object(members) => {
            Box::new(object(members.iter().map(|(name, member)| (name.as_str(), to_cel(member)))))
        }
    }
}

/// A map with text keys.
pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Box<dyn Val + 'a>)>) -> CelMap<'a> {
    let members: HashMap<_, _> =
        members.into_iter().map(|(name, member)| (CelMapKey::from(name), member)).collect();
    CelMap::from(members)
}

fn number_to_cel(number: &Number) -> Box<dyn Val> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Box::new(CelInt::from(int)),
        (None, Some(uint)) => Box::new(CelUInt::from(uint)),
        (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
    }
}

/// A CEL value as JSON; an empty optional is null. Members of objects are in order of their names.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Value::from(text.inner()));
    }
    if let Some(bool) = value.downcast_ref::<CelBool>() {
        return Ok(Value::from(*bool.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*int.inner()));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*uint.inner()));
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        let number = Number::from_f64(*double.inner());
        return number.map(Value::Number).ok_or_else(|| "JSON has no infinite number and no NaN".to_owned());
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list
            .inner()
            .iter()
            .map(|item| to_json(item.as_ref()))
            .collect::<Result<_, _>>()
            .map(Value::Array);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map_to_json(map);
    }
    if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        return optional.inner().map_or(Ok(Value::Null), to_json);
    }
    Err(format!(
        "its value is of type {}, which JSON has not: make it a string by string()",
        value.get_type().name()
    ))
}

fn map_to_json(map: &CelMap<'_>) -> Result<Value, String> {
    let members = map.inner().iter().map(|(key, member)| member_to_json(key, member.as_ref()));
    let mut members = members.collect::<Result<Vec<_>, String>>()?;
    members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::Object(Map::from_iter(members)))
}

fn member_to_json(key: &CelMapKey<'_>, member: &dyn Val) -> Result<(String, Value), String> {
    match key {
        CelMapKey::String(name) => Ok((name.inner().to_owned(), to_json(member)?)),
        CelMapKey::Bool(_) | CelMapKey::Int(_) | CelMapKey::UInt(_) => {
            Err("an object of JSON has texts for keys".to_owned())
        }
    }
}
