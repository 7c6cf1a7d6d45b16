//! What users set, by arguments or by the variables that OpenTelemetry gives names to.

/// Where traces go, and what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceOptions {
    /// The address of a collector, to which `/v1/traces` is added. Default: what
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says, or `OTEL_EXPORTER_OTLP_ENDPOINT`, or this machine.
    pub endpoint: Option<String>,
    /// Whether prompts, answers, the arguments and results of tools, and the words of failures are in the
    /// traces.
    pub content: bool,
}

/// The most that one span has of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanLimits {
    pub(crate) events: usize,
    pub(crate) links: usize,
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self { events: 1_000, links: 1_000 }
    }
}

impl TraceOptions {
    /// As given and, where nothing is given, as the environment says; none if nobody asks for traces.
    ///
    /// Traces are asked for by an endpoint, here or in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`. `OTEL_SDK_DISABLED=true` and `OTEL_TRACES_EXPORTER=none` turn off
    /// what the environment asks for. Content is in them also with
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`.
    pub fn with_environment(self, lookup: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let is_true = |name: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let disabled = is_true("OTEL_SDK_DISABLED");
        let none = set("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter.trim() == "none");
        let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let wanted = !disabled && !none && named.into_iter().any(|name| set(name).is_some());
        let content = self.content || is_true("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
        (self.endpoint.is_some() || wanted).then_some(Self { content, ..self })
    }
}

impl SpanLimits {
    /// Those of `OTEL_SPAN_EVENT_COUNT_LIMIT` and `OTEL_SPAN_LINK_COUNT_LIMIT`, where they are numbers.
    pub(crate) fn of(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| lookup(name)?.trim().parse().ok();
        let usual = Self::default();
        Self {
            events: number("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(usual.events),
            links: number("OTEL_SPAN_LINK_COUNT_LIMIT").unwrap_or(usual.links),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_asks_for_traces_and_an_argument_has_the_last_word() {
        let on = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let content = ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "True");
        let given = Some("http://other".to_owned());
        for (endpoint, variables, expected) in [
            (None, vec![], None),
            (None, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], None),
            (None, vec![on], Some(false)),
            (None, vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/v1/traces")], Some(false)),
            (None, vec![on, content], Some(true)),
            (None, vec![on, ("OTEL_SDK_DISABLED", "true")], None),
            (None, vec![on, ("OTEL_TRACES_EXPORTER", "none")], None),
            (None, vec![content], None),
            (given, vec![("OTEL_SDK_DISABLED", "true")], Some(false)),
        ] {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let options = TraceOptions { endpoint: endpoint.clone(), content: false };
            let found = options.with_environment(&lookup);
            assert_eq!(found.as_ref().map(|options| options.content), expected, "{variables:?}");
            assert_eq!(found.and_then(|options| options.endpoint), endpoint);
        }
    }

    #[test]
    fn limits_are_numbers() {
        let lookup = |name: &str| (name == "OTEL_SPAN_EVENT_COUNT_LIMIT").then(|| "7".to_owned());
        assert_eq!(SpanLimits::of(&lookup), SpanLimits { events: 7, links: 1_000 });
        assert_eq!(SpanLimits::of(&|_| Some("many".to_owned())), SpanLimits::default());
    }
}
