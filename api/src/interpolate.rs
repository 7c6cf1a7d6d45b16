//! Environment variables in texts, as shells write them.

/// Why a text cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Uninterpolated {
    /// A variable has no value, and the text gives no default.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// `${` begins no variable.
    #[error("{0:?} is no variable")]
    Malformed(String),
}

/// `text` with the values of variables: `${NAME}` (an error if it is unset), `${NAME:-default}` (the
/// default also stands for an empty value) and `${NAME-default}` (it does not). A `$` without a
/// brace stands for itself.
pub(crate) fn interpolate(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Uninterpolated> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        done.push_str(before);
        let (variable, behind) =
            after.split_once('}').ok_or_else(|| Uninterpolated::Malformed(format!("${{{after}")))?;
        done.push_str(&value(variable, lookup)?);
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

fn value(variable: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Uninterpolated> {
    let length = variable.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, tail) = variable.split_at(length);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Uninterpolated::Malformed(format!("${{{variable}}}")));
    }
    let set = lookup(name);
    match (set, tail.strip_prefix(":-"), tail.strip_prefix('-')) {
        (Some(value), None, None) if tail.is_empty() => Ok(value),
        (Some(value), Some(_), _) if !value.is_empty() => Ok(value),
        (_, Some(default), _) => Ok(default.to_owned()),
        (set, None, Some(default)) => Ok(set.unwrap_or_else(|| default.to_owned())),
        (None, None, None) if tail.is_empty() => Err(Uninterpolated::Unset(name.to_owned())),
        (_, None, None) => Err(Uninterpolated::Malformed(format!("${{{variable}}}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_shells_read_them() {
        let lookup = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("${SET}/a $5 ${SET}", "value/a $5 value"),
            ("${SET:-x}${SET-x}", "valuevalue"),
            ("${EMPTY:-x}${EMPTY-x}", "x"),
            ("${UNSET:-a b}${UNSET-}", "a b"),
        ] {
            assert_eq!(interpolate(text, &lookup).unwrap(), expected, "{text}");
        }
        assert_eq!(interpolate("${UNSET}", &lookup), Err(Uninterpolated::Unset("UNSET".to_owned())));
        for text in ["${SET", "${}", "${1A}", "${SET:x}", "${SET }"] {
            assert!(matches!(interpolate(text, &lookup), Err(Uninterpolated::Malformed(_))), "{text}");
        }
    }
}
