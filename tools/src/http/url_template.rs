//! Addresses with places for arguments.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::{Map, Value};

/// All but the unreserved characters of RFC 3986: no argument can add a segment, a member of the query
/// or a fragment.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An `http` or `https` address whose path and query may name arguments as `{argument}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Argument(String),
}

impl UrlTemplate {
    /// Reads `source`.
    ///
    /// # Errors
    /// Why it is no such address.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        let template = Self { parts: parts_of(source)? };
        let plain: String = template.parts.iter().map(Part::sample).collect();
        let url = Url::parse(&plain).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("its scheme is {}, not http or https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user or a password: use auth".to_owned());
        }
        if url.fragment().is_some() {
            return Err("it has a fragment, which is never sent".to_owned());
        }
        let Some(Part::Text(first)) = template.parts.first() else {
            return Err("it does not begin with http:// or https://".to_owned());
        };
        let after_scheme = first.split_once("://").map_or("", |(_, rest)| rest);
        if template.parts.len() > 1 && !after_scheme.contains(['/', '?']) {
            return Err("an argument may stand in the path or the query only".to_owned());
        }
        Ok(template)
    }

    /// The arguments that it names.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Argument(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The address with `arguments` in it.
    ///
    /// # Errors
    /// An argument is missing, has no form in an address, or would lead to another path.
    pub(super) fn expand(&self, arguments: &Map<String, Value>) -> Result<Url, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Argument(name) => {
                    let value = arguments.get(name).and_then(text_of);
                    let value = value
                        .ok_or_else(|| format!("argument {name:?} must be a text, a number or a boolean"))?;
                    if value.is_empty() && !text.contains('?') {
                        return Err(format!("argument {name:?} is empty, which would make another path"));
                    }
                    text.extend(utf8_percent_encode(&value, RESERVED));
                }
            }
        }
        let path = text.split('?').next().unwrap_or_default();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err("an argument makes \".\" or \"..\" of a part of the path".to_owned());
        }
        Url::parse(&text).map_err(|error| error.to_string())
    }
}

impl Part {
    /// Itself, with something harmless as the argument.
    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Argument(_) => "x",
        }
    }
}

fn parts_of(source: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, tail) = rest.split_at(at);
        let inside = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
        let Some((name, after)) = inside else { return Err("its braces do not match".to_owned()) };
        if name.is_empty() || name.contains('{') {
            return Err("its braces hold no name".to_owned());
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        parts.push(Part::Argument(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// A value as an address holds it.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand(template: &str, arguments: Value) -> Result<String, String> {
        let Value::Object(arguments) = arguments else { panic!() };
        UrlTemplate::parse(template).unwrap().expand(&arguments).map(|url| url.to_string())
    }

    #[test]
    fn arguments_are_put_in_encoded() {
        for (template, arguments, expected) in [
            (
                "https://a.b/w?city={c}",
                json!({"c": "São Paulo & Co"}),
                "https://a.b/w?city=S%C3%A3o%20Paulo%20%26%20Co",
            ),
            ("https://a.b/{x}/y", json!({"x": "a/b?c#d%2e"}), "https://a.b/a%2Fb%3Fc%23d%252e/y"),
            ("http://a.b:81/{x}-{y}", json!({"x": 3, "y": true}), "http://a.b:81/3-true"),
            ("http://a.b/?x={x}", json!({"x": ""}), "http://a.b/?x="),
            ("http://a.b", json!({}), "http://a.b/"),
            ("http://a.b/{x}", json!({"x": "...\\..\n"}), "http://a.b/...%5C..%0A"),
        ] {
            assert_eq!(expand(template, arguments).unwrap(), expected);
        }
    }

    #[test]
    fn an_argument_leads_to_no_other_path() {
        for arguments in [
            json!({"x": ".."}),
            json!({"x": "."}),
            json!({"x": ""}),
            json!({"x": null}),
            json!({"x": [1]}),
            json!({}),
        ] {
            assert!(expand("https://a.b/v1/{x}/z", arguments.clone()).is_err(), "{arguments}");
        }
        assert!(expand("https://a.b/v1/.{x}/z", json!({"x": "."})).is_err());
    }

    #[test]
    fn other_addresses_are_refused() {
        for source in [
            "ftp://a.b/",
            "a.b/x",
            "https://{x}.b/",
            "https://a.b:{p}/",
            "{x}",
            "{x}://a.b/",
            "https://u:p@a.b/",
            "https://a.b/{x",
            "https://a.b/x}",
            "https://a.b/{}",
            "https://a.b/#{x}",
            "https://a.b{x}/y",
            "",
        ] {
            assert!(UrlTemplate::parse(source).is_err(), "{source}");
        }
    }
}
