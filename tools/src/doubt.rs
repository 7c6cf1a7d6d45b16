//! Calls of which nobody knows whether they took effect.

use superstep_engine::FailureClass;

/// The class and the message of a failure after which nobody knows whether the call took effect. Another
/// attempt would be another call, so that only one of an idempotent tool may be made again.
pub(crate) fn in_doubt(is_idempotent: bool, class: FailureClass, what: &str) -> (FailureClass, String) {
    if is_idempotent {
        return (class, what.to_owned());
    }
    let what = format!("{what}; it may have taken effect, and is not made again as it is not idempotent");
    (FailureClass::Permanent, what)
}
