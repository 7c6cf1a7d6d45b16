//! The chat template of a model file, rendered as the Jinja dialect of the model hubs.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, context};

use crate::error::ChatError;
use crate::request::ChatMessage;

const NAME: &str = "chat";

/// A parsed chat template.
///
/// `raise_exception` and the methods of Python strings, lists and dicts are there. `strftime_now` is not defined:
/// a prompt that depends on the day would make a run differ from its replay. Templates ask whether it is defined
/// and have a fixed date for this case; one that calls it without asking fails with its name in the error.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    /// Parses the template; `bos` and `eos` are the names of these tokens.
    pub(crate) fn parse(source: &str, bos: String, eos: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { environment, bos, eos })
    }

    /// Renders the messages followed by the opening of the assistant's turn.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<String, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::NoMessages);
        }
        let refuse = |error: Error| ChatError::Template { reason: error.to_string() };
        let messages: Vec<_> = messages
            .iter()
            .map(|message| context! { role => message.role.name(), content => message.content.as_str() })
            .collect();
        let template = self.environment.get_template(NAME).map_err(refuse)?;
        template
            .render(context! {
                messages => messages,
                add_generation_prompt => true,
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
            })
            .map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Role;

    fn render(source: &str) -> Result<String, ChatError> {
        let template = Template::parse(source, "<s>".to_owned(), "</s>".to_owned()).unwrap();
        template.render(&[ChatMessage::new(Role::User, "hi ")])
    }

    #[test]
    fn templates_use_the_dialect_of_the_hubs() {
        let table = [
            ("{% for m in messages %}\n{{ m.role }}:{{ m['content'].strip() }}\n{% endfor %}", "user:hi\n"),
            ("{{ bos_token }}{% if add_generation_prompt %}a{% endif %}{{ eos_token }}", "<s>a</s>"),
            ("{% if strftime_now is defined %}no{% else %}fixed{% endif %}", "fixed"),
            ("{{ messages | tojson }}", r#"[{"role": "user", "content": "hi "}]"#),
            ("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "1"),
        ];
        for (source, expected) in table {
            assert_eq!(render(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn refusals_name_the_reason() {
        for (source, part) in [
            ("{{ raise_exception('only pairs') }}", "only pairs"),
            ("{{ strftime_now('%d') }}", "strftime_now"),
        ] {
            let ChatError::Template { reason } = render(source).unwrap_err() else { panic!("another error") };
            assert!(reason.contains(part), "{reason}");
        }
        assert!(Template::parse("{% if %}", String::new(), String::new()).is_err());
    }
}
