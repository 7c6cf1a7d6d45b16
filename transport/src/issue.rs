//! An authority that makes certificates: for groups on one machine, for a cluster, and for tests.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::files::AUTHORITIES;
use crate::identity::Identity;
use crate::issued::{IssueError, Issued, make_folder, write};

/// The key of an authority.
const AUTHORITY_KEY: &str = "ca.key";
/// By how much clocks may differ.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// How long an authority is one.
const AUTHORITY_LASTS: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The first moment.
    pub begins: SystemTime,
    /// The last.
    pub ends: SystemTime,
}

impl Validity {
    /// From now on, for so long, and a little before, since clocks differ.
    #[must_use]
    pub fn lasting(length: Duration) -> Self {
        let now = SystemTime::now();
        Self { begins: now - SKEW, ends: now + length }
    }
}

/// Whoever signs certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// One of this name, with a fresh key.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new(name: &str) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let params = params_of_authority(name);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The one that is kept in a folder, and is made there if there is none.
    ///
    /// # Errors
    /// The folder cannot be read or written, or what it has is no authority.
    pub fn kept_in(folder: &Path, name: &str) -> Result<Self, IssueError> {
        let keep = |source| IssueError::Keep { path: folder.display().to_string(), source };
        let key = match fs::read_to_string(folder.join(AUTHORITY_KEY)) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::new(name)?;
                make_folder(folder).map_err(keep)?;
                // The key comes last: a folder that has it is complete.
                write(&folder.join(AUTHORITIES), &made.certificate).map_err(keep)?;
                write(&folder.join(AUTHORITY_KEY), &made.issuer.key().serialize_pem()).map_err(keep)?;
                return Ok(made);
            }
            Err(error) => return Err(keep(error)),
        };
        let certificate = fs::read_to_string(folder.join(AUTHORITIES)).map_err(keep)?;
        let key = KeyPair::from_pem(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params_of_authority(name), key) })
    }

    /// The one that has this certificate and this key, each as PEM.
    ///
    /// # Errors
    /// One of them is none.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key)?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, as PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for one who is both client and server.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn issue(&self, identity: &Identity, validity: Validity) -> Result<Issued, IssueError> {
        self.issue_uris(&[&identity.to_string()], validity)
    }

    /// As [`issue`](Self::issue), for whatever these URIs name.
    ///
    /// # Errors
    /// One is not of ASCII.
    pub fn issue_uris(&self, uris: &[&str], validity: Validity) -> Result<Issued, IssueError> {
        self.issue_params(params_of_uris(uris, validity)?)
    }

    /// A certificate for a server that is called by this name, and is nobody in a group.
    ///
    /// # Errors
    /// The name is none.
    pub fn issue_server(&self, name: &str, validity: Validity) -> Result<Issued, IssueError> {
        let mut params = params(validity);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue_params(params)
    }

    fn issue_params(&self, params: CertificateParams) -> Result<Issued, IssueError> {
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { authorities: self.certificate.clone(), chain, key: key.serialize_pem() })
    }

    /// A certificate for whoever has the key of a request (PKCS #10, as DER), as PEM. Whom it names is said here, whatever
    /// the request says.
    ///
    /// # Errors
    /// The request is none, or is not signed by its key.
    pub fn sign(
        &self,
        request: &[u8],
        identity: &Identity,
        validity: Validity,
    ) -> Result<String, IssueError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())
            .map_err(|source| IssueError::Request { source })?;
        let params = params_of_uris(&[&identity.to_string()], validity)?;
        Ok(params.signed_by(&request.public_key, &self.issuer)?.pem())
    }
}

/// Of one who is both client and server.
fn params_of_uris(uris: &[&str], validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = params(validity);
    params.subject_alt_names =
        uris.iter().map(|uri| Ok(SanType::URI((*uri).try_into()?))).collect::<Result<_, rcgen::Error>>()?;
    Ok(params)
}

fn params(validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = validity.begins.into();
    params.not_after = validity.ends.into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn params_of_authority(name: &str) -> CertificateParams {
    let validity = Validity::lasting(AUTHORITY_LASTS);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = validity.begins.into();
    params.not_after = validity.ends.into();
    params
}

impl Issued {
    /// The same, trusting these authorities as well.
    #[must_use]
    pub fn trusting_also(mut self, others: &[&Authority]) -> Self {
        others.iter().for_each(|other| self.authorities.push_str(&other.certificate));
        self
    }

    /// The same, trusting these authorities only.
    #[must_use]
    pub fn trusting(mut self, others: &[&Authority]) -> Self {
        self.authorities.clear();
        self.trusting_also(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::KeyRequest;

    fn hour() -> Validity {
        Validity::lasting(Duration::from_secs(3_600))
    }

    #[test]
    fn what_is_signed_names_whom_the_authority_says_and_whoever_asks_keeps_the_key() {
        let authority = Authority::new("one").unwrap();
        let authority = Authority::from_pem(authority.certificate(), &authority.key()).unwrap();
        let identity = Identity::worker("shop", "triage", "triage-worker-0").unwrap();
        let request = KeyRequest::new().unwrap();
        let chain = authority.sign(request.der(), &identity, hour()).unwrap();
        let issued = request.answered(chain.clone(), authority.certificate().to_owned());
        assert_eq!(issued.identity().unwrap(), identity);
        // Another has not its key, and another authority has not signed it.
        let other = KeyRequest::new().unwrap().answered(chain, authority.certificate().to_owned());
        assert!(matches!(other.identity(), Err(crate::CredentialsError::Pair { .. })));
        let stranger = Authority::new("one").unwrap();
        let issued = issued.trusting(&[&stranger]);
        assert!(matches!(issued.identity(), Err(crate::CredentialsError::Refused { .. })));
    }

    #[test]
    fn whatever_is_changed_in_a_request_no_other_key_is_signed() {
        let authority = Authority::new("one").unwrap();
        let identity = Identity::worker("shop", "triage", "a").unwrap();
        let request = KeyRequest::new().unwrap();
        let mut refused = 0;
        for at in 0..request.der().len() {
            let mut changed = request.der().to_vec();
            changed[at] ^= 0x40;
            match authority.sign(&changed, &identity, hour()) {
                Err(error) => {
                    assert!(matches!(error, IssueError::Request { .. }), "byte {at}: {error}");
                    refused += 1;
                }
                // It stands around what is signed, and says nothing.
                Ok(chain) => {
                    let issued = request.answered(chain, authority.certificate().to_owned());
                    assert_eq!(issued.identity().unwrap(), identity, "byte {at}");
                }
            }
        }
        assert!(refused + 8 > request.der().len(), "{refused} of {}", request.der().len());
        assert!(matches!(authority.sign(&[], &identity, hour()), Err(IssueError::Request { .. })));
    }
}
