//! What became of all the children of an object.

use crate::children::{Child, Children, Owner, Settled, Unsettled};
use crate::conditions::Standing;
use crate::context::Context;
use crate::control::Failure;

/// What became of the children.
#[derive(Clone, Debug)]
pub(crate) enum Placed {
    /// The object is not such that it could have any; those that are there stay.
    Kept,
    /// They wait for something of the operator itself.
    Waits {
        /// For what, in one word.
        reason: &'static str,
        /// In a sentence.
        message: String,
    },
    /// Those of a former object of the same name are being deleted.
    Leaving {
        /// One of them.
        child: String,
    },
    /// They cannot be made.
    Stuck {
        /// Why, in one word.
        reason: &'static str,
        /// In a sentence.
        message: String,
    },
    /// They are there.
    Done {
        /// Whether something was written, so that what is seen of the pods may be older.
        is_changed: bool,
    },
}

impl Placed {
    /// How an object stands whose children are not there, if they are not.
    pub(crate) fn standing(&self) -> Option<Standing> {
        match self {
            Self::Stuck { reason, message } => Some(Standing::Stalled { reason, message: message.clone() }),
            Self::Waits { reason, message } => {
                Some(Standing::Reconciling { reason, message: message.clone() })
            }
            Self::Leaving { child } => Some(Standing::Reconciling {
                reason: "FormerLeaves",
                message: format!("{child} of a former object of this name is being deleted"),
            }),
            Self::Kept | Self::Done { .. } => None,
        }
    }
}

/// Makes the children of an object what they are to be, in their order, and deletes those that nobody wants.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) async fn place(
    context: &Context,
    children: &Children,
    owner: &Owner,
    wanted: &[Child],
) -> Result<Placed, Failure> {
    let mut is_changed = false;
    for child in wanted {
        match children.settle(context, owner, child).await {
            Ok(Settled::There | Settled::Unseen) => {}
            // Only what pods follow from makes their numbers old.
            Ok(Settled::Applied) => is_changed |= matches!(child.kind(), "StatefulSet" | "Deployment"),
            Ok(Settled::Leaving) => {
                return Ok(Placed::Leaving { child: format!("{} {}", child.kind(), child.name()) });
            }
            Err(unsettled) => return stuck(unsettled),
        }
    }
    children.sweep(context, owner, wanted).await?;
    Ok(Placed::Done { is_changed })
}

/// What is to be said of a child that cannot be made; a failure, if it may pass.
fn stuck(unsettled: Unsettled) -> Result<Placed, Failure> {
    let message = unsettled.to_string();
    match unsettled {
        Unsettled::Taken { .. } => Ok(Placed::Stuck { reason: "NameTaken", message }),
        Unsettled::Contested { .. } => Ok(Placed::Stuck { reason: "Contested", message }),
        Unsettled::Refused { .. } => Ok(Placed::Stuck { reason: "ChildRefused", message }),
        Unsettled::Away { .. } => Err(Failure::new(unsettled)),
    }
}
