//! A chat as the tokens of a prompt.
//!
//! What a message says is text: a name of a control token in it must not become that token, or whoever writes a
//! message could end its turn and open another's. So the template is given the messages in [shadow](Shadow): the
//! characters that control tokens are written with are replaced by others, whatever the template makes of them, and
//! put back when the names that the template itself wrote have been found. Trimming, cutting and joining go on as
//! before, and so does the splitting into words over the seams of template and message.

use crate::error::{ChatError, GenerateError};
use crate::request::ChatMessage;
use crate::shadow::Shadow;
use crate::template::Template;
use crate::tokenizer::Tokenizer;

/// The tokens of `messages`, followed by the opening of the assistant's turn.
///
/// Only what the template writes becomes a control token. With all characters of control tokens in shadow, none can
/// have any character from a message; a template that looks for such characters, as for `</think>`, then gives
/// another text, and only the few that no control token can do without are put in shadow.
///
/// # Errors
/// [`ChatError::Rewritten`] if the template looks for those as well, and [`GenerateError::Chat`] or
/// [`GenerateError::Tokenize`] if the messages cannot be rendered or tokenized at all.
pub(crate) fn prompt(
    template: &Template,
    tokenizer: &Tokenizer,
    messages: &[ChatMessage],
) -> Result<Vec<u32>, GenerateError> {
    let text = template.render(messages)?;
    let names = tokenizer.control_names();
    for characters in [names.characters(), names.marks()] {
        let mut texts: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
        texts.push(&text);
        let Some(shadow) = Shadow::of(characters, &texts) else { continue };
        let cast: Vec<ChatMessage> = messages
            .iter()
            .map(|message| ChatMessage::new(message.role, shadow.cast(&message.content)))
            .collect();
        // A template may refuse what it does not know in shadow, which is one more way to give another text.
        if let Some(rendered) = template.render(&cast).ok().filter(|cast| shadow.lifted(cast) == text) {
            return tokenizer.encode_prompt(&rendered, &shadow);
        }
    }
    Err(ChatError::Rewritten { characters: names.marks().iter().collect() }.into())
}

#[cfg(test)]
mod tests;
