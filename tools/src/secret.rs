//! Secrets that requests carry.

use std::fmt;

use reqwest::header::HeaderValue;
use superstep_graph::{CredentialRef, VertexName};

use crate::error::LoadError;

/// The shortest secret that is looked for in what a server answers; shorter ones are words.
const SHORTEST: usize = 8;

/// Finds a secret.
pub(crate) type FindSecret<'a> = &'a (dyn Fn(&CredentialRef) -> Option<String> + Sync);

/// A secret. It shows itself nowhere but in the header that it was made for.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What `superstep` reads in place of a secret: the environment variable that
/// [`CredentialRef::variable`] names.
pub fn from_environment(credential: &CredentialRef) -> Option<String> {
    std::env::var(credential.variable()).ok()
}

impl Secret {
    pub(crate) fn find(
        tool: &VertexName,
        credential: &CredentialRef,
        secret: FindSecret<'_>,
    ) -> Result<Self, LoadError> {
        let found = secret(credential);
        let found = found
            .ok_or_else(|| LoadError::NoSecret { tool: tool.clone(), credential: credential.clone() })?;
        let text = found.trim();
        if text.is_empty() || HeaderValue::from_str(text).is_err() {
            return Err(LoadError::BadSecret { tool: tool.clone(), credential: credential.clone() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The value of a header, after `prefix`.
    pub(crate) fn header(&self, prefix: &str) -> HeaderValue {
        let text = format!("{prefix}{}", self.0);
        let mut value =
            HeaderValue::from_str(&text).expect("the secret was checked, and prefixes are letters");
        value.set_sensitive(true);
        value
    }

    /// `text` without the secret, which a server may send back.
    pub(crate) fn hide_in(&self, text: String) -> String {
        if self.0.len() >= SHORTEST && text.contains(&self.0) { text.replace(&self.0, "***") } else { text }
    }

    /// The secret itself, for a library that makes the header.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}
