//! Secrets that are sent and never shown.

use std::fmt;

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use superstep_graph::CredentialRef;

/// A secret of a provider, with the name of the variable that held it.
#[derive(Clone)]
pub(crate) struct Credential {
    secret: String,
    variable: String,
}

impl Credential {
    /// The secret behind `reference`, looked up by the name of its variable; none if it is unset or
    /// blank. Line ends around it are not part of it.
    pub(crate) fn find(reference: &CredentialRef, lookup: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = reference.variable();
        let secret = lookup(&variable)?.trim().to_owned();
        (!secret.is_empty()).then_some(Self { secret, variable })
    }

    pub(crate) fn variable(&self) -> &str {
        &self.variable
    }

    /// The secret as the value of a header, with `prefix` before it.
    pub(crate) fn header(&self, prefix: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.secret))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// `text` without the secret, which some providers repeat in their errors.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.secret, "(credential)")
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(value: Option<&str>) -> Option<Credential> {
        let reference = CredentialRef { name: "openai".to_owned(), key: "apiKey".to_owned() };
        let value = value.map(str::to_owned);
        Credential::find(&reference, &|name| value.clone().filter(|_| name == "OPENAI_API_KEY"))
    }

    #[test]
    fn a_secret_is_never_shown() {
        let credential = find(Some("sk-secret\n")).unwrap();
        assert_eq!(format!("{credential:?}"), "Credential(OPENAI_API_KEY)");
        assert_eq!(credential.redact("key sk-secret is wrong"), "key (credential) is wrong");
        let header = credential.header("Bearer ").unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(header.as_bytes(), b"Bearer sk-secret");
    }

    #[test]
    fn blank_is_unset() {
        assert!(find(None).is_none());
        assert!(find(Some(" \n")).is_none());
    }
}
