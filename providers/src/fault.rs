//! Why a request to a provider came to nothing, and whether another would.

mod body;
mod classify;
mod wait;

use std::fmt::Write as _;
use std::time::Duration;

use superstep_engine::{Failure, FailureClass};

pub(crate) use classify::{of_response, of_stream};

/// The most of a provider's own words that is repeated.
const MAX_DETAIL: usize = 500;

/// A request that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// What happened, in the words of the provider or of the network.
    pub(crate) detail: String,
    /// How long the provider wants to be left alone.
    pub(crate) wait: Option<Duration>,
    /// Whether nobody can have heard the request, since there was no connection.
    pub(crate) unheard: bool,
    /// Of a request that was kept back: for how long such requests still are; none for good.
    pub(crate) kept_back: Option<Option<Duration>>,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// No connection, or it was lost.
    Connection,
    /// It took too long.
    Timeout,
    /// The provider is overloaded, or fails itself.
    Server,
    /// Too many requests at a time.
    RateLimited,
    /// The answer broke off, or cannot be read.
    Broken,
    /// The answer is larger than is taken.
    TooLarge,
    /// The credential is refused.
    Credential,
    /// The credential does not allow this model.
    Forbidden,
    /// The account has no money or quota left.
    Quota,
    /// The model's allowance is used up, or it is away, for longer than is waited.
    Allowance,
    /// The provider does not have the model.
    UnknownModel,
    /// The request is refused.
    Invalid,
    /// The answer was withheld.
    Filtered,
}

/// Who failed, for messages.
pub(crate) struct Named<'a> {
    /// The name that the graph uses, the provider, and the model as the provider knows it.
    pub(crate) label: &'a str,
    /// Where requests go.
    pub(crate) base_url: &'a str,
    /// The variable of the credential.
    pub(crate) variable: Option<&'a str>,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if detail.len() > MAX_DETAIL {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
            detail.push('…');
        }
        Self { kind, detail, wait: None, unheard: false, kept_back: None }
    }

    /// The same fault of a request that is kept back, as others are for another `rest`.
    pub(crate) fn not_sent(self, rest: Option<Duration>) -> Self {
        Self { kept_back: Some(rest), ..self }
    }

    /// The failure of the vertex that asked.
    pub(crate) fn failure(&self, named: &Named<'_>) -> Failure {
        let Named { label, .. } = named;
        let mut message = format!("{label}: {}", self.kind.happened());
        if !self.detail.is_empty() {
            // Writing to a text cannot fail.
            write!(message, " ({})", self.detail).expect("a text takes more text");
        }
        if let Some(fix) = self.kind.fix(named) {
            message.push_str(": ");
            message.push_str(&fix);
        }
        match self.kept_back {
            None => {}
            Some(None) => message.push_str("; it was not asked again in this process"),
            Some(Some(rest)) => {
                let seconds = rest.as_secs().max(1);
                write!(message, "; it is not asked for another {seconds} s").expect("a text takes more text");
            }
        }
        let class = self.kind.class();
        let pause = self.wait.filter(|_| class.is_retryable());
        Failure::new(class, message).retry_after(pause)
    }
}

impl FaultKind {
    fn class(self) -> FailureClass {
        match self {
            Self::Connection | Self::Timeout | Self::Server | Self::RateLimited | Self::Broken => {
                FailureClass::Transient
            }
            Self::TooLarge
            | Self::Credential
            | Self::Forbidden
            | Self::Quota
            | Self::Allowance
            | Self::UnknownModel
            | Self::Invalid
            | Self::Filtered => FailureClass::Permanent,
        }
    }

    fn happened(self) -> &'static str {
        match self {
            Self::Connection => "the connection failed",
            Self::Timeout => "it took too long",
            Self::Server => "the provider is overloaded or fails",
            Self::RateLimited => "too many requests",
            Self::Broken => "the answer broke off or cannot be read",
            Self::TooLarge => "the answer is too large",
            Self::Credential => "the credential is refused",
            Self::Forbidden => "the credential does not allow it",
            Self::Quota => "the quota of the account is used up",
            Self::Allowance => "the provider takes no requests for the model for long",
            Self::UnknownModel => "the provider has no such model",
            Self::Invalid => "the request is refused",
            Self::Filtered => "the provider withheld the answer",
        }
    }

    fn fix(self, named: &Named<'_>) -> Option<String> {
        let Named { base_url, variable, .. } = named;
        match self {
            Self::Connection | Self::Timeout | Self::Server | Self::RateLimited | Self::Broken => None,
            Self::TooLarge => Some("lower sampling.maxTokens".to_owned()),
            Self::Credential => Some(match variable {
                Some(variable) => format!("set {variable} to a key that is valid at {base_url}"),
                None => format!("give external.credentialRef a key that is valid at {base_url}"),
            }),
            Self::Forbidden => Some(format!("ask at {base_url} for access to the model, or use another")),
            Self::Quota => Some("raise it with the provider, or give the model fallbacks".to_owned()),
            Self::Allowance => {
                Some("wait, raise it with the provider, or give the model fallbacks".to_owned())
            }
            Self::UnknownModel => Some(format!("correct external.model, or its address {base_url}")),
            Self::Invalid => Some("change the prompt, its sampling or the model".to_owned()),
            Self::Filtered => Some("rephrase the prompt, or give the model fallbacks".to_owned()),
        }
    }

    /// What a fault of this kind says of later requests.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Credential | Self::Quota => Scope::Account,
            Self::Forbidden | Self::Allowance | Self::UnknownModel => Scope::Model,
            Self::Connection
            | Self::Timeout
            | Self::Server
            | Self::RateLimited
            | Self::Broken
            | Self::TooLarge
            | Self::Invalid
            | Self::Filtered => Scope::Request,
        }
    }
}

/// Which later requests would fail as this one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of the account.
    Account,
    /// Those for the model.
    Model,
    /// None that is known of.
    Request,
}
