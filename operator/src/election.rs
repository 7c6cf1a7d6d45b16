//! Which of several processes of the operator works.
//!
//! What two of them write is the same, so that a moment in which both work does no harm; that is why one that cannot
//! renew its lease goes on until it sees that another one has it.

use std::time::Instant;

use kube::Client;
use superstep_leases::{Election, KubernetesLease, LeaseError, Leases as _, Pace, Standing};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::control::chain;
use crate::shutdown::Shutdown;

/// A lease that this process has.
pub(crate) struct Tenure {
    election: Election,
    lease: KubernetesLease,
    looks: Interval,
}

/// Waits until this process, `me`, has the lease of that name; none if it is to end before.
pub(crate) async fn elected(
    client: Client,
    namespace: &str,
    name: &str,
    me: &str,
    shutdown: Shutdown,
) -> Option<Tenure> {
    let pace = Pace::of_cluster();
    let mut looks = interval(pace.looks);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tenure = Tenure {
        election: Election::new(me, pace, Instant::now()),
        lease: KubernetesLease::new(client, namespace, name, pace),
        looks,
    };
    let mut known = Standing::Vacant;
    let mut ends = std::pin::pin!(shutdown.asked());
    loop {
        tokio::select! {
            () = tenure.look() => {}
            () = &mut ends => return None,
        }
        match tenure.election.standing(Instant::now()) {
            Standing::Leads => {
                tracing::info!(lease = name, "this process works");
                return Some(tenure);
            }
            standing @ Standing::Follows(_) if standing != known => {
                if let Standing::Follows(other) = &standing {
                    tracing::info!(lease = name, other, "another process works, this one stands by");
                }
                known = standing;
            }
            Standing::Follows(_) | Standing::Vacant => {}
        }
    }
}

impl Tenure {
    /// Renews the lease until another process has it, and names that one.
    pub(crate) async fn lost(&mut self) -> String {
        loop {
            self.look().await;
            if let Standing::Follows(other) = self.election.standing(Instant::now()) {
                return other;
            }
        }
    }

    /// Gives it back, so that another one works at once.
    pub(crate) async fn give_back(mut self) {
        if let Some((seen, next)) = self.election.release()
            && let Err(error) = self.lease.replace(seen, next).await
        {
            tracing::warn!(error = chain(&error), "the lease cannot be given back; it runs out");
        }
    }

    /// Looks at it once, when it is time to.
    async fn look(&mut self) {
        self.looks.tick().await;
        if let Err(error) = self.renew().await {
            tracing::warn!(error = chain(&error), "the lease cannot be looked at");
        }
    }

    async fn renew(&mut self) -> Result<(), LeaseError> {
        let read = self.lease.read().await?;
        if let Some(next) = self.election.look(read.clone(), Instant::now()) {
            let written = self.lease.replace(read, next.clone()).await?;
            self.election.wrote(next, written, Instant::now());
        }
        Ok(())
    }
}
