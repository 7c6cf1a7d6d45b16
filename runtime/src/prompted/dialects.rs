//! Calls as families of models write them who were trained to, where that is not JSON with the name of the tool in it.
//!
//! A model that is told of our own form may fall back to that of its training, above all one that no schema holds. Those of
//! Hermes and Qwen, of Llama 3, of Phi-4 and the older ones of Mistral are JSON between marks, and need nothing here.

use serde_json::{Map, Value, json};

/// How one family writes a call.
struct Dialect {
    /// What stands in front of a call.
    opens: &'static str,
    /// Reads a call, and the rest of the text, from behind the mark; nothing if that is none.
    read: fn(&str) -> Option<(Value, &str)>,
}

/// What stands in front of each call of Mistral.
const MISTRAL: &str = "[TOOL_CALLS]";

const DIALECTS: [Dialect; 3] = [
    // Mistral: `[TOOL_CALLS]name[ARGS]{…}`.
    Dialect { opens: MISTRAL, read: of_mistral },
    // Llama 3.1: `<function=name>{…}</function>`. Qwen3-Coder: `<function=name><parameter=key>…</parameter></function>`.
    Dialect { opens: "<function=", read: of_functions },
    // FunctionGemma: `<start_function_call>call:name{key:<escape>…<escape>}<end_function_call>`.
    Dialect { opens: "<start_function_call>call:", read: of_gemma },
];

/// The family of which a text has the first mark, and where that stands.
fn first(text: &str) -> Option<(usize, &'static Dialect)> {
    let found = DIALECTS.iter().filter_map(|dialect| Some((text.find(dialect.opens)?, dialect)));
    found.min_by_key(|(at, _)| *at)
}

/// Where the first mark of such a family stands in a text.
pub(super) fn first_mark(text: &str) -> Option<usize> {
    first(text).map(|(at, _)| at)
}

/// The calls in a text, each as `{"name": …, "arguments": …}`, if it has marks of such a family.
pub(super) fn calls(text: &str) -> Vec<Value> {
    let Some((_, Dialect { opens, read })) = first(text) else { return Vec::new() };
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(opens) {
        rest = &rest[at + opens.len()..];
        if let Some((call, behind)) = read(rest) {
            calls.push(call);
            rest = behind;
        }
    }
    calls
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"name": name, "arguments": arguments})
}

/// The JSON value that a text begins with, and what stands behind it.
fn value(text: &str) -> Option<(Value, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    let end = stream.byte_offset();
    Some((value, &text[end..]))
}

/// What a text has up to a mark, and behind it.
fn until<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (front, behind) = text.split_once(mark)?;
    Some((front.trim(), behind))
}

/// Whether it may be the name of a tool.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

fn of_mistral(text: &str) -> Option<(Value, &str)> {
    let (name, _) = text.split_once('{')?;
    if name.contains(MISTRAL) {
        // What follows are the arguments of another call.
        return None;
    }
    let arguments = &text[name.len()..];
    // Some say an id in between.
    let name = name.split('[').next()?.trim();
    let (arguments, rest) = value(arguments)?;
    is_name(name).then(|| (call(name, arguments), rest))
}

fn of_functions(text: &str) -> Option<(Value, &str)> {
    let (name, inside) = until(text, ">")?;
    if !is_name(name) {
        return None;
    }
    if inside.trim_start().starts_with('{') {
        let (arguments, rest) = value(inside)?;
        return Some((call(name, arguments), rest));
    }
    let (arguments, rest) = parameters(inside)?;
    Some((call(name, Value::Object(arguments)), rest))
}

/// The parameters of a call up to its end, and what stands behind it. Any text may be the value of one, the end of a call
/// among it.
fn parameters(text: &str) -> Option<(Map<String, Value>, &str)> {
    const OPENS: &str = "<parameter=";
    const ENDS: &str = "</function>";
    let mut parameters = Map::new();
    let mut rest = text;
    loop {
        let end = rest.find(ENDS).unwrap_or(rest.len());
        let Some(at) = rest.find(OPENS).filter(|at| *at < end) else {
            return Some((parameters, rest.get(end + ENDS.len()..).unwrap_or("")));
        };
        let (key, written) = until(&rest[at + OPENS.len()..], ">")?;
        let (written, behind) = written.split_once("</parameter>")?;
        let written = written.strip_prefix('\n').unwrap_or(written);
        let written = written.strip_suffix('\n').unwrap_or(written);
        // What is no JSON is a text.
        let written = serde_json::from_str(written).unwrap_or_else(|_| json!(written));
        parameters.insert(key.to_owned(), written);
        rest = behind;
    }
}

fn of_gemma(text: &str) -> Option<(Value, &str)> {
    let (name, _) = text.split_once('{')?;
    let (arguments, rest) = gemma_value(&text[name.len()..], DEEPEST)?;
    is_name(name).then(|| (call(name, arguments), rest))
}

/// Objects and lists in each other that are read, at most.
const DEEPEST: usize = 32;

/// A value as FunctionGemma writes it: as JSON, but with bare keys and with texts between `<escape>`.
fn gemma_value(text: &str, deepest: usize) -> Option<(Value, &str)> {
    const ESCAPE: &str = "<escape>";
    let text = text.trim_start();
    let deeper = deepest.checked_sub(1)?;
    if let Some(written) = text.strip_prefix(ESCAPE) {
        let (written, rest) = written.split_once(ESCAPE)?;
        return Some((json!(written), rest));
    }
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut members = Map::new();
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(behind) = rest.strip_prefix('}') {
                return Some((Value::Object(members), behind));
            }
            let (key, written) = until(rest, ":")?;
            let (member, behind) = gemma_value(written, deeper)?;
            members.insert(key.trim_matches('"').to_owned(), member);
            rest = behind;
        }
    }
    if let Some(mut rest) = text.strip_prefix('[') {
        let mut items = Vec::new();
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(behind) = rest.strip_prefix(']') {
                return Some((Value::Array(items), behind));
            }
            let (item, behind) = gemma_value(rest, deeper)?;
            items.push(item);
            rest = behind;
        }
    }
    if text.starts_with('"') {
        return value(text);
    }
    let end = text.find([',', '}', ']'])?;
    Some((serde_json::from_str(text[..end].trim()).ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_understood_as_it_writes() {
        let rome = json!({"name": "get_weather", "arguments": {"city": "Rome", "days": 2}});
        let now = json!({"name": "now", "arguments": {}});
        let write = json!({"name": "write", "arguments": {"text": "a </function> b", "n": 1}});
        for (text, expected) in [
            ("[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Rome\", \"days\": 2}", vec![&rome]),
            (
                "[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{\"city\": \"Rome\", \"days\": 2}[TOOL_CALLS]now{}",
                vec![&rome, &now],
            ),
            // The first has no arguments, and is none.
            ("[TOOL_CALLS]then[TOOL_CALLS]now{}", vec![&now]),
            ("<function=get_weather>{\"city\": \"Rome\", \"days\": 2}</function>", vec![&rome]),
            (
                "<function=write><parameter=text>a </function> b</parameter><parameter=n>1</parameter></function>\
                 <function=now></function>",
                vec![&write, &now],
            ),
            (
                "I look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n\
                 </parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
                vec![&rome, &now],
            ),
            (
                "<start_function_call>call:get_weather{city:<escape>Rome<escape>,days:2}<end_function_call>\
                 <start_function_call>call:now{}<end_function_call>",
                vec![&rome, &now],
            ),
        ] {
            assert_eq!(calls(text).iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn values_of_gemma_nest() {
        let text = "{a:[1,<escape>x, {y}<escape>,{b:null}],\"c\":true , d:-1.5}.";
        let expected = json!({"a": [1, "x, {y}", {"b": null}], "c": true, "d": -1.5});
        assert_eq!(gemma_value(text, DEEPEST), Some((expected, ".")));
    }

    #[test]
    fn what_is_no_call_is_none() {
        for text in [
            "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}]",
            "[TOOL_CALLS]now",
            "[TOOL_CALLS]a b{}",
            "<function=>{}</function>",
            "<function=a><parameter=b>",
            "<start_function_call>call:now{a:",
            "<start_function_call>call:now{a",
            "plain [text] {of} words",
        ] {
            assert_eq!(calls(text), Vec::<Value>::new(), "{text}");
        }
        let deep = format!("<start_function_call>call:now{}", "{a:".repeat(100_000));
        assert!(calls(&deep).is_empty());
    }
}
