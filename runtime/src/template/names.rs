//! The filters and tests that a template can name.

use minijinja::{Environment, context};

/// What is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `value | name`.
    Filter,
    /// `value is name`.
    Test,
}

impl Named {
    /// Whether templates have one of that name.
    pub(super) fn has(self, environment: &Environment<'_>, name: &str) -> bool {
        let question = match self {
            Self::Filter => "name is filter",
            Self::Test => "name is test",
        };
        let asked = environment.compile_expression(question);
        let answer = asked.and_then(|asked| asked.eval(context! { name => name }));
        answer.is_ok_and(|answer| answer.is_true())
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Test => "test",
        }
    }

    /// The names to suggest.
    pub(super) fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Filter => FILTERS,
            Self::Test => TESTS,
        }
    }
}

const FILTERS: &[&str] = &[
    "abs",
    "batch",
    "capitalize",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

#[cfg(test)]
mod tests {
    use super::super::environment;
    use super::*;

    #[test]
    fn what_is_suggested_is_there() {
        for kind in [Named::Filter, Named::Test] {
            let missing: Vec<_> =
                kind.usual().iter().filter(|name| !kind.has(&environment(), name)).collect();
            assert!(missing.is_empty(), "{} {missing:?}", kind.word());
            assert!(!kind.has(&environment(), "nothing"));
        }
    }
}
