//! Who was refused, and why.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It speaks no TLS.
    Plaintext,
    /// It shows no certificate.
    NoCertificate,
    /// Its certificate is of another authority, or damaged.
    Untrusted,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// Its certificate names nobody.
    Unnamed,
    /// What it asks for is not for it.
    Foreign,
    /// It took too long to show who it is.
    Slow,
    /// Too many are showing who they are.
    Crowded,
}

const REASONS: usize = 8;

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; REASONS] = [
        Self::Plaintext,
        Self::NoCertificate,
        Self::Untrusted,
        Self::Expired,
        Self::Unnamed,
        Self::Foreign,
        Self::Slow,
        Self::Crowded,
    ];

    /// The reason in one word, for whoever counts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::NoCertificate => "no_certificate",
            Self::Untrusted => "untrusted",
            Self::Expired => "expired",
            Self::Unnamed => "unnamed",
            Self::Foreign => "foreign",
            Self::Slow => "slow",
            Self::Crowded => "crowded",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plaintext => "it speaks no TLS",
            Self::NoCertificate => "it shows no certificate",
            Self::Untrusted => "its certificate is not of an authority that is trusted",
            Self::Expired => "its certificate is not valid at this time",
            Self::Unnamed => "its certificate names nobody",
            Self::Foreign => "what it asks for is not for it",
            Self::Slow => "it took too long to show who it is",
            Self::Crowded => "too many are showing who they are",
        })
    }
}

/// How many callers were refused, for each reason. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<[AtomicU64; REASONS]>);

impl Refusals {
    /// How many for one reason.
    #[must_use]
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize].load(Ordering::Relaxed)
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn note(&self, refusal: Refusal, address: Option<SocketAddr>, why: &dyn fmt::Display) {
        self.0[refusal as usize].fetch_add(1, Ordering::Relaxed);
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        tracing::warn!(%address, reason = %refusal, %why, "a caller is refused");
    }
}
