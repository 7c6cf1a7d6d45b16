//! HTTP clients that reach only what they may.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::address::{Reach, Unreachable};
use crate::error::LoadError;

/// The longest that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Finds the addresses of a host.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses; their ports mean nothing.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// What the system knows.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) }.boxed()
    }
}

/// Gives a client only addresses that it may reach. As these are the very addresses that it connects
/// to, no second answer of a name server can lead it elsewhere.
struct Guarded {
    lookup: Arc<dyn Lookup>,
    reach: Reach,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let (reach, found) = (self.reach, self.lookup.lookup(host.clone()));
        let resolving = async move {
            let mut refused = None;
            let mut allowed = Vec::new();
            for address in found.await? {
                match reach.check(&host, address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if allowed.is_empty() => Err(error.into()),
                Some(_) | None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        };
        resolving.boxed()
    }
}

/// The clients that tools share, so that they share connections. Each is made when it is first needed.
pub(crate) struct Clients {
    lookup: Arc<dyn Lookup>,
    made: Mutex<BTreeMap<Reach, Client>>,
}

impl Clients {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, made: Mutex::default() }
    }

    /// The client that connects to what `reach` allows. It follows no redirect; that of servers of the Model
    /// Context Protocol, which is the one beyond the link, follows those within one origin.
    pub(crate) fn of(&self, reach: Reach) -> Result<Client, LoadError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&reach) {
            return Ok(client.clone());
        }
        let begun = begun(reach, Arc::clone(&self.lookup));
        let begun = match reach {
            Reach::Public | Reach::Everywhere => begun.redirect(Policy::none()),
            // A server may end an answer without its being read to the end, after which a connection
            // that is used again stalls.
            Reach::BeyondLink => begun.redirect(same_origin()).pool_max_idle_per_host(0),
        };
        let client = begun.build().map_err(|error| LoadError::Http(causes(&error)))?;
        made.insert(reach, client.clone());
        Ok(client)
    }
}

/// A client that asks no proxy of the environment, which would connect in its place, and connects to what
/// `reach` allows. A host that is an address is to be checked by [`check_literal`].
fn begun(reach: Reach, lookup: Arc<dyn Lookup>) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("superstep/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Guarded { lookup, reach }))
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT)
}

fn same_origin() -> Policy {
    Policy::custom(|attempt| {
        let is_same =
            attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if is_same && attempt.previous().len() <= 5 { attempt.follow() } else { attempt.stop() }
    })
}

/// Checks a host that is an address, which no name server is asked for.
pub(crate) fn check_literal(url: &Url, reach: Reach) -> Result<(), Unreachable> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    literal.parse::<IpAddr>().map_or(Ok(()), |address| reach.check(host, address))
}

/// An error and its causes in one line, each said once.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut said = Vec::<String>::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

/// The address that was refused, if that is why a request failed.
pub(crate) fn refused<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Unreachable> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Answers one address after the other, whatever the host is called.
    pub(crate) struct Fake(pub(crate) Mutex<Vec<Vec<IpAddr>>>);

    impl Lookup for Fake {
        fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let mut answers = self.0.lock().unwrap();
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            futures::future::ready(Ok(answer.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())).boxed()
        }
    }

    #[test]
    fn addresses_are_checked_where_they_are_written() {
        for (url, allowed) in [
            ("http://127.0.0.1/", false),
            ("http://0x7f.1/", false),
            ("http://2130706433/", false),
            ("http://[::1]:80/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("http://1.1.1.1/", true),
            ("http://localhost/", true),
        ] {
            assert_eq!(check_literal(&url.parse().unwrap(), Reach::Public).is_ok(), allowed, "{url}");
        }
    }
}
