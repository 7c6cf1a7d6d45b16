//! Names in one style: `FromWorker`, `beat_millis`, `RUN_PHASE_ENDED`.

use super::declaration::{Declaration, Noun};

/// The value that stands for what is not known, behind the name of its enum.
const ZERO: &str = "UNSPECIFIED";

/// What is wrong with the name of a declaration.
pub(super) fn check(declaration: &Declaration) -> Option<String> {
    let wrong = |style: &str| Some(format!("{declaration} is not written as {style}"));
    match declaration.noun {
        Noun::Message | Noun::Enum | Noun::Service | Noun::Rpc if !is_camel(&declaration.name) => {
            wrong("`FromWorker`")
        }
        Noun::Field | Noun::Oneof if !is_snake(&declaration.name) => wrong("`beat_millis`"),
        Noun::Value => check_value(declaration),
        Noun::Message | Noun::Enum | Noun::Service | Noun::Rpc | Noun::Field | Noun::Oneof => None,
    }
}

/// Values share the scope of their enum, so that its name has to stand before theirs.
fn check_value(declaration: &Declaration) -> Option<String> {
    let of = declaration.scope.rsplit('.').next().unwrap_or_default();
    let prefix = format!("{}_", screaming(of));
    // proto3 has the zero first.
    let first = declaration.path.last() == Some(&0);
    match declaration.name.strip_prefix(&prefix) {
        Some(rest) if first && rest != ZERO => {
            Some(format!("{declaration} is first and not `{prefix}{ZERO}`"))
        }
        Some(rest) if is_snake(&rest.to_lowercase()) && rest == rest.to_uppercase() => None,
        Some(_) | None => Some(format!("{declaration} is not written as `{prefix}ENDED`")),
    }
}

fn is_camel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('_').all(|word| !word.is_empty() && word.chars().all(allowed))
}

/// `RunPhase` as `RUN_PHASE`.
fn screaming(camel: &str) -> String {
    let mut text = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(noun: Noun, name: &str, index: i32) -> bool {
        let scope = "superstep.v1.RunPhase".to_owned();
        check(&Declaration { noun, scope, name: name.to_owned(), path: vec![5, 0, 2, index] }).is_some()
    }

    #[test]
    fn names() {
        for (noun, right, mistaken) in [
            (
                Noun::Message,
                &["Run", "FromWorker", "V2"][..],
                &["run", "From_Worker", "2V", "fromWorker"][..],
            ),
            (Noun::Enum, &["RunPhase"], &["RUN_PHASE"]),
            (Noun::Service, &["Runs"], &["runs"]),
            (Noun::Rpc, &["Submit"], &["submit", "Sub_mit"]),
            (
                Noun::Field,
                &["run", "beat_millis", "x2"],
                &["Run", "beatMillis", "beat__millis", "_a", "a_", "2a"],
            ),
            (Noun::Oneof, &["what"], &["What"]),
            (
                Noun::Value,
                &["RUN_PHASE_ENDED", "RUN_PHASE_SO_2"],
                &["ENDED", "RUN_PHASE_Ended", "RUN_PHASE_"],
            ),
        ] {
            right.iter().for_each(|name| assert!(!wrong(noun, name, 1), "{noun} {name}"));
            mistaken.iter().for_each(|name| assert!(wrong(noun, name, 1), "{noun} {name}"));
        }
    }

    #[test]
    fn the_zero_says_that_nothing_is_said() {
        assert!(!wrong(Noun::Value, "RUN_PHASE_UNSPECIFIED", 0));
        assert!(wrong(Noun::Value, "RUN_PHASE_ENDED", 0));
    }
}
