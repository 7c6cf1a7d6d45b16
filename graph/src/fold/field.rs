//! Setting one field of a document by its path.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::mutation::SetField;

/// `document` with one field set, read anew so that its own schema is checked. The members `fixed`
/// identify the document and cannot be set.
pub(super) fn set<T: Serialize + DeserializeOwned>(
    document: &T,
    fixed: &[&str],
    set: &SetField,
) -> Result<T, String> {
    let path: Vec<&str> = set.field.split('.').collect();
    if path.contains(&"") {
        return Err(format!("{:?} names no field", set.field));
    }
    if fixed.contains(&path[0]) {
        return Err(format!("field {:?} identifies it and cannot be set", path[0]));
    }
    let mut value = serde_json::to_value(document).map_err(|error| error.to_string())?;
    place(&mut value, &path, &set.value)?;
    if set.value.is_null() {
        known::<T>(value.clone(), &path)?;
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Whether there is a field that is given its default by null. One that is not there looks as if it had it.
fn known<T: DeserializeOwned>(mut value: Value, path: &[&str]) -> Result<(), String> {
    let (last, above) = path.split_last().ok_or("no field is named")?;
    let members = above.iter().try_fold(&mut value, |inner, name| match inner {
        Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        Value::Object(members) => members.get_mut(*name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    });
    if let Some(Value::Object(members)) = members {
        members.insert((*last).to_owned(), Value::Null);
    }
    match serde_json::from_value::<T>(value) {
        Err(error) if error.to_string().contains("unknown field") => Err(error.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn place(value: &mut Value, path: &[&str], new: &Value) -> Result<(), String> {
    if let Some(items) = value.as_array_mut() {
        let slot = path[0].parse::<usize>().ok().and_then(|index| items.get_mut(index));
        let slot = slot.ok_or_else(|| format!("the list has no item {:?}", path[0]))?;
        return descend(slot, path, new);
    }
    let members =
        value.as_object_mut().ok_or_else(|| format!("{:?} lies below a value that is no object", path[0]))?;
    if path.len() == 1 && new.is_null() {
        members.remove(path[0]);
        return Ok(());
    }
    let slot = members.entry(path[0]).or_insert_with(|| Value::Object(Map::new()));
    descend(slot, path, new)
}

fn descend(slot: &mut Value, path: &[&str], new: &Value) -> Result<(), String> {
    if path.len() == 1 {
        *slot = new.clone();
        return Ok(());
    }
    place(slot, &path[1..], new)
}

/// Whether two fields are the same or one lies in the other.
pub(super) fn overlap(one: &str, two: &str) -> bool {
    let (mut ones, mut twos) = (one.split('.'), two.split('.'));
    loop {
        match (ones.next(), twos.next()) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => return false,
            (None, _) | (_, None) => return true,
        }
    }
}
