//! Who may ask a service.

use std::fmt;

use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use crate::caller::Caller;
use crate::identity::{Group, Identity};
use crate::refusals::{Refusal, Refusals};
use crate::security::Security;

/// Stands before a service of a worker, and lets in whom it is for.
#[derive(Clone, Debug)]
pub struct Gate {
    guard: Guard,
    refusals: Refusals,
}

#[derive(Clone, Debug)]
enum Guard {
    /// Whoever reaches this machine's loopback.
    Open,
    /// The workers of a group, and perhaps the clients of its namespace.
    Of { group: Group, clients: bool },
    /// Nobody: the credentials are of no worker.
    Closed,
}

impl Gate {
    /// Lets in the workers of the same group.
    #[must_use]
    pub fn for_workers(security: &Security) -> Self {
        Self::new(security, false)
    }

    /// Lets in the workers of the same group and the clients of its namespace.
    #[must_use]
    pub fn for_workers_and_clients(security: &Security) -> Self {
        Self::new(security, true)
    }

    fn new(security: &Security, clients: bool) -> Self {
        let guard = match security {
            Security::Plaintext | Security::Within(_) => Guard::Open,
            Security::Mutual(credentials) => match credentials.identity() {
                Identity::Worker { group, .. } => Guard::Of { group: group.clone(), clients },
                Identity::Client { .. } => Guard::Closed,
            },
        };
        Self { guard, refusals: security.refusals() }
    }

    /// Whether whoever sent a request with these extensions may speak for the worker `name`.
    ///
    /// # Errors
    /// Its certificate names another.
    pub fn check_name(&self, extensions: &Extensions, name: &str) -> Result<(), Status> {
        if matches!(self.guard, Guard::Open) {
            return Ok(());
        }
        let caller = extensions.get::<Caller>();
        let of = caller.and_then(|caller| caller.certified.as_deref()).map(|certified| &certified.identity);
        match of {
            Some(Identity::Worker { name: own, .. }) if own.as_str() == name => Ok(()),
            Some(identity) => Err(self.refuse(caller, &format_args!("{identity} is not worker {name:?}"))),
            None => Err(self.refuse(caller, &"nobody is known to have sent this")),
        }
    }

    fn refuse(&self, caller: Option<&Caller>, why: &dyn fmt::Display) -> Status {
        self.refusals.note(Refusal::Foreign, caller.and_then(|caller| caller.address), why);
        Status::permission_denied(why.to_string())
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let (group, clients) = match &self.guard {
            Guard::Open => return Ok(request),
            Guard::Closed => return Err(self.refuse(None, &"this process is no worker")),
            Guard::Of { group, clients } => (group, *clients),
        };
        let caller = request.extensions().get::<Caller>();
        let identity =
            caller.and_then(|caller| caller.certified.as_deref()).map(|certified| &certified.identity);
        let whom = if clients { "the workers of it and the clients of its namespace" } else { "its workers" };
        match identity {
            Some(Identity::Worker { group: theirs, .. }) if theirs == group => Ok(request),
            Some(Identity::Client { namespace, .. }) if clients && *namespace == group.namespace => {
                Ok(request)
            }
            Some(identity) => Err(self
                .refuse(caller, &format_args!("{identity} may not ask this of {group}: it is for {whom}"))),
            None => Err(self.refuse(caller, &format_args!("nobody is known to have sent this to {group}"))),
        }
    }
}
