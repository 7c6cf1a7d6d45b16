//! Payloads that are kept elsewhere.

/// The name of the blob that holds the text of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The digest of the text.
    pub digest: [u8; 32],
    /// How long the text is.
    pub bytes: u64,
}
