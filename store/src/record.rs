//! What a log can keep.

use serde::{Serialize, de::DeserializeOwned};

/// A value that a log keeps.
///
/// The folder backend encodes it with postcard, which stores neither field names nor types: a type must
/// decode every record that was written under a format up to [`FORMAT`](Self::FORMAT). Appending a variant
/// to an enum keeps that; changing a field of an existing one does not.
pub trait Record: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The version of the encoding. It stands in every segment, and a reader refuses a higher one than its own.
    const FORMAT: u16;
}
