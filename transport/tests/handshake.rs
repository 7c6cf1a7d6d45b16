//! Callers of every kind at a listener with certificates.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use superstep_transport::{
    Authority, Connection, Connector, Credentials, CredentialsError, Expected, Identity, Issued, Refusal,
    Refusals, Security, Validity, accept,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tonic::transport::Uri;

const LOOK: Duration = Duration::from_millis(20);

fn hour() -> Validity {
    Validity::lasting(Duration::from_secs(3_600))
}

fn worker(name: &str) -> Identity {
    Identity::worker("shop", "triage", name).unwrap()
}

/// Something that listens as the worker `a`, and says a few bytes to whom it lets in.
struct Listening {
    folder: TempDir,
    authority: Authority,
    credentials: Arc<Credentials>,
    uri: Uri,
}

impl Listening {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("one").unwrap();
        authority.issue(&worker("a"), hour()).unwrap().write(&folder.path().join("a")).unwrap();
        let credentials = Credentials::open(folder.path().join("a"), LOOK).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut connections =
            accept(listener.try_into().unwrap(), Security::Mutual(Arc::clone(&credentials)));
        tokio::spawn(async move {
            while let Some(connection) = connections.next().await {
                let mut connection = connection.unwrap();
                tokio::spawn(async move {
                    connection.write_all(b"hello").await.unwrap();
                    connection.flush().await.unwrap();
                    // It goes on until the other end does.
                    connection.read_to_end(&mut Vec::new()).await.unwrap_or_default();
                });
            }
        });
        Self { folder, authority, credentials, uri }
    }

    fn refusals(&self) -> &Refusals {
        self.credentials.refusals()
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect((self.uri.host().unwrap(), self.uri.port_u16().unwrap())).await.unwrap()
    }

    /// Calls with what was issued; what is heard, or why nothing is.
    async fn call(&self, name: &str, issued: &Issued) -> Result<String, String> {
        let folder = self.folder.path().join(name);
        issued.write(&folder).unwrap();
        let credentials = Credentials::open(&folder, LOOK).unwrap();
        let connector = Connector::new(Arc::clone(&credentials), Expected::by(&worker("a")));
        let connection = connector.connect(&self.uri).await.map_err(|error| error.to_string())?;
        heard(connection).await
    }

    /// Calls with TLS that believes whoever is there, and shows `shown`, if anything.
    async fn call_blindly(&self, shown: Option<(&str, &str)>) -> Result<String, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Blind));
        let config = match shown {
            Some((chain, key)) => {
                let chain =
                    CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(said.to_vec()).unwrap())
    }

    async fn refused(&self, refusal: Refusal, count: u64) {
        until(|| self.refusals().of(refusal) >= count).await;
        assert_eq!(self.refusals().of(refusal), count);
    }
}

/// Waits for what comes soon, or not at all.
async fn until(so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if so() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    assert!(so());
}

async fn heard(mut connection: Connection) -> Result<String, String> {
    let mut said = [0; 5];
    connection.read_exact(&mut said).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(said.to_vec()).unwrap())
}

/// The chain and the key of what was issued, read from where they are written.
fn shown(folder: &Path, issued: &Issued) -> (String, String) {
    issued.write(folder).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    (read("tls.crt"), read("tls.key"))
}

#[derive(Debug)]
struct Blind;

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[tokio::test]
async fn who_is_certified_and_named_is_let_in() {
    let listening = Listening::begin().await;
    for identity in [worker("b"), Identity::client("shop", "gateway").unwrap()] {
        let issued = listening.authority.issue(&identity, hour()).unwrap();
        assert_eq!(listening.call("one", &issued).await, Ok("hello".to_owned()));
    }
    assert_eq!(listening.refusals().total(), 0);
}

#[tokio::test]
async fn who_is_not_certified_is_refused_and_hears_why() {
    let listening = Listening::begin().await;
    let other = Authority::new("one").unwrap();
    let issued = other.issue(&worker("b"), hour()).unwrap().trusting_also(&[&listening.authority]);
    let why = listening.call("other", &issued).await.unwrap_err();
    assert!(why.contains("not of an authority that is trusted there"), "{why}");
    listening.refused(Refusal::Untrusted, 1).await;

    let why = listening.call_blindly(None).await.unwrap_err();
    assert!(why.contains("CertificateRequired"), "{why}");
    listening.refused(Refusal::NoCertificate, 1).await;

    let two = ["spiffe://superstep/ns/shop/client/a", "spiffe://superstep/ns/shop/client/b"];
    for (count, uris) in [(1, &[][..]), (2, &["https://shop"]), (3, &two)] {
        let issued = listening.authority.issue_uris(uris, hour()).unwrap();
        let (chain, key) = shown(&listening.folder.path().join("blind"), &issued);
        listening.call_blindly(Some((&chain, &key))).await.unwrap_err();
        listening.refused(Refusal::Unnamed, count).await;
    }
    assert_eq!(listening.refusals().total(), 5);
}

#[tokio::test]
async fn a_certificate_that_has_expired_or_is_not_valid_yet_is_refused() {
    let listening = Listening::begin().await;
    let now = SystemTime::now();
    let hours = |count: u64| Duration::from_secs(count * 3_600);
    let over = Validity { begins: now - hours(2), ends: now - hours(1) };
    let to_come = Validity { begins: now + hours(1), ends: now + hours(2) };
    for (count, validity) in [(1, over), (2, to_come)] {
        let issued = listening.authority.issue(&worker("b"), validity).unwrap();
        let (chain, key) = shown(&listening.folder.path().join("old"), &issued);
        listening.call_blindly(Some((&chain, &key))).await.unwrap_err();
        listening.refused(Refusal::Expired, count).await;
        // Whoever has it does not begin with it.
        let opened = Credentials::open(listening.folder.path().join("old"), LOOK);
        assert!(matches!(opened, Err(CredentialsError::Refused { .. })));
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_refused() {
    let listening = Listening::begin().await;
    let mut stream = listening.tcp().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    listening.refused(Refusal::Plaintext, 1).await;
    // Whoever only knocks, as probes do, is nobody to warn of.
    drop(listening.tcp().await);
    let issued = listening.authority.issue(&worker("b"), hour()).unwrap();
    assert_eq!(listening.call("b", &issued).await, Ok("hello".to_owned()));
    assert_eq!(listening.refusals().total(), 1);
}

#[tokio::test]
async fn who_is_slow_holds_nobody_up_and_who_is_too_many_is_turned_away() {
    let listening = Listening::begin().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(listening.tcp().await);
    }
    let issued = listening.authority.issue(&worker("b"), hour()).unwrap();
    assert_eq!(listening.call("b", &issued).await, Ok("hello".to_owned()));
    // The first of them are let go by the time that the last one comes, if the machine has other work.
    for _ in 0..20 {
        for _ in 0..100 {
            silent.push(listening.tcp().await);
        }
        tokio::time::sleep(LOOK).await;
        if listening.refusals().of(Refusal::Crowded) > 0 {
            break;
        }
        silent.drain(..silent.len().saturating_sub(400));
    }
    until(|| listening.refusals().of(Refusal::Crowded) > 0).await;
    // Those who say nothing are let go in time, and others come in.
    until(|| listening.refusals().of(Refusal::Slow) > 0).await;
    while listening.call("b", &issued).await.is_err() {
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test]
async fn a_client_talks_only_to_the_workers_that_it_wants() {
    let listening = Listening::begin().await;
    let connect = async |identity: &Identity, graph: Option<&str>| {
        let folder = listening.folder.path().join("client");
        listening.authority.issue(identity, hour()).unwrap().write(&folder).unwrap();
        let credentials = Credentials::open(&folder, LOOK).unwrap();
        let mut expected = Expected::by(identity);
        if let Some(graph) = graph {
            expected.graph = Some(graph.parse().unwrap());
        }
        let connected = Connector::new(credentials, expected).connect(&listening.uri).await;
        connected.map(|connection| connection.other().clone()).map_err(|error| error.to_string())
    };
    let client = Identity::client("shop", "gateway").unwrap();
    let other = connect(&client, None).await.unwrap();
    let certified = other.certified.unwrap();
    assert_eq!((&certified.identity, &certified.serial), (&worker("a"), &listening.credentials.serial()));
    connect(&client, Some("triage")).await.unwrap();
    for (identity, graph) in [
        (client, Some("billing")),
        (Identity::client("other", "gateway").unwrap(), None),
        (Identity::worker("shop", "billing", "b").unwrap(), None),
        (Identity::worker("other", "triage", "b").unwrap(), None),
    ] {
        let why = connect(&identity, graph).await.unwrap_err();
        assert!(why.contains(&format!("it is {}, and not a worker of", worker("a"))), "{why}");
    }
    let other = Authority::new("one").unwrap();
    let why = listening.call("other", &other.issue(&worker("b"), hour()).unwrap()).await.unwrap_err();
    assert!(why.contains("no authority in ca.crt has signed the certificate"), "{why}");
    // It was the client that refused.
    assert_eq!(listening.refusals().total(), 0);
}

#[tokio::test]
async fn files_are_followed_through_links_as_kubernetes_mounts_them() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("one").unwrap();
    let mount = folder.path();
    let swap = |version: &str, identity: &Identity| {
        authority.issue(identity, hour()).unwrap().write(&mount.join(version)).unwrap();
        symlink(version, mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    swap("..1", &worker("a"));
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), mount.join(name)).unwrap();
    }
    let credentials = Credentials::open(mount, LOOK).unwrap();
    let first = credentials.serial();
    swap("..2", &worker("a"));
    until(|| credentials.serial() != first).await;
    // A process does not become another.
    let second = credentials.serial();
    swap("..3", &worker("b"));
    tokio::time::sleep(LOOK * 10).await;
    assert_eq!(credentials.serial(), second);
    assert_eq!(*credentials.identity(), worker("a"));
}

#[tokio::test]
async fn half_of_a_pair_is_not_used_and_the_former_one_goes_on() {
    let listening = Listening::begin().await;
    let folder = listening.folder.path().join("a");
    let before = listening.credentials.serial();
    let issued = listening.authority.issue(&worker("a"), hour()).unwrap();
    let (chain, key) = shown(&listening.folder.path().join("next"), &issued);
    let caller = listening.authority.issue(&worker("b"), hour()).unwrap();
    let half = &chain[..chain.len() / 2];
    for text in [half, "", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", chain.as_str()] {
        std::fs::write(folder.join("tls.crt"), text).unwrap();
        tokio::time::sleep(LOOK * 10).await;
        assert_eq!(listening.credentials.serial(), before);
        assert_eq!(listening.call("b", &caller).await, Ok("hello".to_owned()));
    }
    std::fs::remove_file(folder.join("tls.key")).unwrap();
    tokio::time::sleep(LOOK * 10).await;
    assert_eq!(listening.call("b", &caller).await, Ok("hello".to_owned()));
    std::fs::write(folder.join("tls.key"), key).unwrap();
    until(|| listening.credentials.serial() != before).await;
    assert_eq!(listening.call("b", &caller).await, Ok("hello".to_owned()));
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Authority::new("one").unwrap(), Authority::new("two").unwrap());
    let open = || Credentials::open(folder.path(), LOOK).err().unwrap();
    assert!(matches!(open(), CredentialsError::Read { .. }));
    one.issue(&worker("a"), hour()).unwrap().trusting(&[&two]).write(folder.path()).unwrap();
    assert!(matches!(open(), CredentialsError::Refused { .. }));
    one.issue_uris(&["https://shop"], hour()).unwrap().write(folder.path()).unwrap();
    assert!(matches!(open(), CredentialsError::Identity { .. }));
    one.issue(&worker("a"), hour()).unwrap().write(folder.path()).unwrap();
    std::fs::write(
        folder.path().join("tls.key"),
        shown(&folder.path().join("x"), &one.issue(&worker("a"), hour()).unwrap()).1,
    )
    .unwrap();
    assert!(matches!(open(), CredentialsError::Pair { .. }));
    one.issue(&worker("a"), hour()).unwrap().trusting(&[]).write(folder.path()).unwrap();
    assert!(matches!(open(), CredentialsError::NoCertificate { .. }));
}

#[test]
fn an_authority_that_is_kept_signs_on() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for _ in 0..2 {
        let authority = Authority::kept_in(&folder.path().join("authority"), "one").unwrap();
        let first = folder.path().join("first");
        if !first.exists() {
            std::fs::create_dir(&first).unwrap();
            std::fs::write(first.join("ca.crt"), authority.certificate()).unwrap();
        }
        authority.issue(&worker("a"), hour()).unwrap().write(&folder.path().join("a")).unwrap();
        std::fs::copy(first.join("ca.crt"), folder.path().join("a/ca.crt")).unwrap();
        Credentials::open(folder.path().join("a"), LOOK).unwrap();
    }
}
