//! The functions that expressions may call.

use std::sync::{Arc, LazyLock};

use cel::common::types::{CelList, DYN_TYPE};
use cel::common::types::{CelMap, CelMapKey};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError, extensions};

/// The function that gives the keys of a map in order, and anything else as it is. It cannot be
/// written in an expression.
pub(super) const ORDERED: &str = "@ordered";

/// What may stand before a function: `math.abs`.
pub(super) const NAMESPACES: [&str; 5] = ["base64", "lists", "math", "optional", "strings"];

/// Names of types, which are values in CEL.
pub(super) const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

/// The functions that may be written, as they remain once macros are expanded.
pub(super) const FUNCTIONS: [&str; 80] = [
    "all",
    "base64.decode",
    "base64.encode",
    "bool",
    "bytes",
    "charAt",
    "contains",
    "distinct",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "flatten",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "hasValue",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "map",
    "matches",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    "replace",
    "reverse",
    "size",
    "slice",
    "sort",
    "sortBy",
    "split",
    "startsWith",
    "string",
    "strings.quote",
    "substring",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "value",
    "existsOne",
];

/// The environment, made once.
pub(super) fn get() -> &'static Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        extensions::strings(&mut env).expect("the extension is added once");
        extensions::lists(&mut env).expect("the extension is added once");
        extensions::math(&mut env).expect("the extension is added once");
        extensions::encoders(&mut env).expect("the extension is added once");
        env.add_overload(ORDERED, "ordered", vec![DYN_TYPE], ordered).expect("the name is free");
        Arc::new(env)
    });
    &ENVIRONMENT
}

fn ordered<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = arguments.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let Some(map) = value.downcast_ref::<CelMap<'v>>() else { return Ok(value) };
    let mut keys: Vec<&CelMapKey<'v>> = map.inner().keys().collect();
    keys.sort_unstable();
    let keys: Vec<Box<dyn Val + 'v>> = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}
