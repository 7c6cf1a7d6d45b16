//! Who a certificate names.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;

/// What every name begins with.
const SCHEME: &str = "spiffe://superstep/";

/// A part of a name: 1 to 253 of a-z, 0-9, `-` and `.`, as Kubernetes names objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

impl Name {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_inner = |byte: u8| is_good(byte) || byte == b'-' || byte == b'.';
        let ends = |byte: Option<&u8>| byte.is_some_and(|byte| is_good(*byte));
        let bytes = text.as_bytes();
        let good = bytes.len() <= 253
            && ends(bytes.first())
            && ends(bytes.last())
            && bytes.iter().copied().all(is_inner);
        if good { Ok(Self(text.into())) } else { Err(IdentityError::Name { text: text.to_owned() }) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The workers that work on the runs of a graph together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Where the graph is.
    pub namespace: Name,
    /// The graph.
    pub graph: Name,
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "graph {} in namespace {}", self.graph, self.namespace)
    }
}

/// Who is at one end of a connection.
///
/// Its text is the URI that stands in the certificate, in the form of a SPIFFE ID:
/// `spiffe://superstep/ns/NAMESPACE/graph/GRAPH/worker/WORKER` or `spiffe://superstep/ns/NAMESPACE/client/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A worker.
    Worker {
        /// With whom it works.
        group: Group,
        /// Its name in the group.
        name: Name,
    },
    /// One who starts runs and looks at them: a command, an operator, a gateway.
    Client {
        /// Where its runs are.
        namespace: Name,
        /// Its name.
        name: Name,
    },
}

/// A certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A part of a name is none.
    #[error("{text:?} is no name: up to 253 of a-z, 0-9, - and .")]
    Name {
        /// What it was.
        text: String,
    },
    /// A URI is of another form.
    #[error(
        "{uri:?} names nobody: it is neither {SCHEME}ns/NAMESPACE/graph/GRAPH/worker/WORKER nor \
         {SCHEME}ns/NAMESPACE/client/NAME"
    )]
    Form {
        /// The URI.
        uri: String,
    },
    /// There is no URI.
    #[error("the certificate names nobody: its subject alternative names have no URI")]
    None,
    /// There are several.
    #[error("the certificate names several: its subject alternative names have more than one URI")]
    Several,
    /// It is no certificate.
    #[error("the certificate cannot be read: {why}")]
    Unreadable {
        /// Why.
        why: webpki::Error,
    },
}

impl Identity {
    /// A worker of a graph.
    ///
    /// # Errors
    /// A name is none.
    pub fn worker(namespace: &str, graph: &str, name: &str) -> Result<Self, IdentityError> {
        let group = Group { namespace: namespace.parse()?, graph: graph.parse()? };
        Ok(Self::Worker { group, name: name.parse()? })
    }

    /// A client of a namespace.
    ///
    /// # Errors
    /// A name is none.
    pub fn client(namespace: &str, name: &str) -> Result<Self, IdentityError> {
        Ok(Self::Client { namespace: namespace.parse()?, name: name.parse()? })
    }

    /// Where it belongs.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        match self {
            Self::Worker { group, .. } => &group.namespace,
            Self::Client { namespace, .. } => namespace,
        }
    }

    /// Whom a certificate names, whoever signed it.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let certificate =
            webpki::EndEntityCert::try_from(certificate).map_err(|why| IdentityError::Unreadable { why })?;
        let mut uris = certificate.valid_uri_names();
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse(),
            (Some(_), Some(_)) => Err(IdentityError::Several),
            (None, _) => Err(IdentityError::None),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let form = || IdentityError::Form { uri: uri.to_owned() };
        let parts: Vec<&str> = uri.strip_prefix(SCHEME).ok_or_else(form)?.split('/').collect();
        match parts.as_slice() {
            ["ns", namespace, "graph", graph, "worker", name] => Self::worker(namespace, graph, name),
            ["ns", namespace, "client", name] => Self::client(namespace, name),
            _ => Err(form()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker { group: Group { namespace, graph }, name } => {
                write!(formatter, "{SCHEME}ns/{namespace}/graph/{graph}/worker/{name}")
            }
            Self::Client { namespace, name } => write!(formatter, "{SCHEME}ns/{namespace}/client/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_no_other_form_is_a_name() {
        for uri in [
            "spiffe://superstep/ns/shop/graph/triage/worker/triage-0",
            "spiffe://superstep/ns/shop/client/gateway",
            "spiffe://superstep/ns/a/graph/b.c/worker/0",
        ] {
            assert_eq!(uri.parse::<Identity>().unwrap().to_string(), uri);
        }
        for uri in [
            "",
            "spiffe://other/ns/shop/client/gateway",
            "SPIFFE://superstep/ns/shop/client/gateway",
            "https://superstep/ns/shop/client/gateway",
            "spiffe://superstep/ns/shop/client/",
            "spiffe://superstep/ns/shop/client/a/b",
            "spiffe://superstep/ns//client/a",
            "spiffe://superstep/ns/shop/client/..",
            "spiffe://superstep/ns/shop/client/A",
            "spiffe://superstep/ns/shop/client/a%2fb",
            "spiffe://superstep/ns/shop/client/a?b",
            "spiffe://superstep/ns/shop/graph/triage/worker/-a",
            "spiffe://superstep/ns/shop/graph/triage/worker/a/",
            "spiffe://superstep//ns/shop/client/a",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
        assert!("a".repeat(254).parse::<Name>().is_err());
    }
}
