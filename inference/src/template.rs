//! The chat template of a model file, rendered as the Jinja dialect of the model hubs.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, context};

use crate::error::ChatError;
use crate::request::{ChatMessage, Role};

const NAME: &str = "chat";
/// What one rendering may take: a step costs one, and so do 64 bytes that it makes. A template comes with its model and may
/// be of anybody's making; one that loops over loops would keep the thread that renders it.
const FUEL: u64 = 20_000_000;

/// A parsed chat template.
///
/// `raise_exception` and the methods of Python strings, lists and dicts are there. `strftime_now` is not defined:
/// a prompt that depends on the day would make a run differ from its replay. Templates ask whether it is defined
/// and have a fixed date for this case; one that calls it without asking fails with its name in the error.
///
/// Some models were trained without instructions of a system, as those of Gemma 2 and the first ones of Mistral: their
/// templates refuse such a message or leave it out. What it says then stands in front of the next message of the user.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    /// Whether messages of the system are written as they are.
    takes_system: bool,
}

impl Template {
    /// Parses the template; `bos` and `eos` are the names of these tokens.
    pub(crate) fn parse(source: &str, bos: String, eos: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| error.to_string())?;
        let mut template = Self { environment, bos, eos, takes_system: true };
        template.takes_system = template.shows_system();
        Ok(template)
    }

    /// Tries whether a message of the system comes out. Where the user's alone does not either, it says nothing.
    fn shows_system(&self) -> bool {
        const PROBE: &str = "instructions-of-the-system";
        let user = ChatMessage::new(Role::User, "words-of-the-user");
        let both = [ChatMessage::new(Role::System, PROBE), user.clone()];
        self.render(&[user]).is_err()
            || self.render(&both).is_ok_and(|text| text.to_lowercase().contains(PROBE))
    }

    /// Renders the messages followed by the opening of the assistant's turn.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<String, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::NoMessages);
        }
        let refuse = |error: Error| ChatError::Template { reason: error.to_string() };
        let folded = if self.takes_system { Cow::Borrowed(messages) } else { folded(messages).into() };
        let messages: Vec<_> = folded
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

/// The same with what the system says in front of what the user says next, or said by the user where no more is said.
fn folded(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let mut folded: Vec<ChatMessage> = Vec::new();
    let mut held: Vec<&str> = Vec::new();
    for message in messages {
        match message.role {
            Role::System => held.push(&message.content),
            Role::User => {
                held.push(&message.content);
                folded.push(ChatMessage::new(Role::User, held.join("\n\n")));
                held.clear();
            }
            Role::Assistant => folded.push(message.clone()),
        }
    }
    if !held.is_empty() {
        folded.push(ChatMessage::new(Role::User, held.join("\n\n")));
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", "out of fuel"),
        ] {
            let ChatError::Template { reason } = render(source).unwrap_err() else { panic!("another error") };
            assert!(reason.contains(part), "{reason}");
        }
        assert!(Template::parse("{% if %}", String::new(), String::new()).is_err());
    }

    #[test]
    fn where_a_template_takes_no_system_the_user_says_it() {
        let loop_over = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        let refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}";
        let leaves_out = "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}";
        let own = "{% if messages[0].role == 'system' %}<<{{ messages[0].content }}>>{% endif %}";
        let says = |role, text: &str| ChatMessage::new(role, text);
        let messages = [
            says(Role::System, "be brief"),
            says(Role::User, "hi"),
            says(Role::Assistant, "ho"),
            says(Role::System, "now"),
            says(Role::System, "be kind"),
        ];
        let folded = "<user>be brief\n\nhi<assistant>ho<user>now\n\nbe kind";
        for (source, expected) in [
            (format!("{refuses}{loop_over}"), folded.to_owned()),
            (leaves_out.to_owned(), folded.to_owned()),
            (
                loop_over.to_owned(),
                "<system>be brief<user>hi<assistant>ho<system>now<system>be kind".to_owned(),
            ),
            (own.to_owned(), "<<be brief>>".to_owned()),
        ] {
            let template = Template::parse(&source, String::new(), String::new()).unwrap();
            assert_eq!(template.render(&messages).unwrap(), expected, "{source}");
        }
    }
}
