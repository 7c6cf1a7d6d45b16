#[path = "../../../tests/hub.rs"]
mod hub;

use std::path::Path;

use self::hub::{FakeHub, Plan};
use super::*;
use crate::models::Quiet;
use crate::models::cache::{Cached, digest};

struct Bench {
    folder: tempfile::TempDir,
    file: HubFile,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), file: HubFile::parse("hf:o/n/m.gguf@v/1").unwrap() }
    }

    fn cache(&self) -> ModelCache {
        let home = self.folder.path().to_str().unwrap().to_owned();
        ModelCache::of(&|name| (name == "XDG_CACHE_HOME").then(|| home.clone())).unwrap()
    }

    fn models(&self) -> Vec<Cached> {
        self.cache().models().unwrap()
    }

    async fn fetch(&self, address: &str, sha256: Option<&str>) -> Result<PathBuf, FetchError> {
        let hub = Hub::new(&|name| match name {
            "HF_ENDPOINT" => Some(address.to_owned()),
            "HF_TOKEN" => Some("secret".to_owned()),
            _ => None,
        })?;
        let patience = Patience { failures: 2, pause: Duration::ZERO };
        let fetcher = Fetcher { hub: &hub, cache: &self.cache(), downloads: &Quiet, patience };
        fetcher.fetch(&self.file, sha256).await
    }
}

fn content() -> Vec<u8> {
    (0..20_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hex(hasher)
}

fn assert_fetched(path: &Path) {
    assert_eq!(fs::read(path).unwrap(), content());
}

#[tokio::test]
async fn a_file_is_fetched_once_with_the_token_and_its_digest_is_kept() {
    let bench = Bench::new();
    let hub = FakeHub::start(content(), &[]);
    let path = bench.fetch(hub.address(), None).await.unwrap();
    assert_fetched(&path);
    assert!(path.ends_with("superstep/models/hf/o/n/v%2F1/m.gguf"), "{}", path.display());
    let expected = Cached {
        name: "hf:o/n/m.gguf@v/1".to_owned(),
        bytes: 80_000,
        sha256: Some(sha256(&content())),
        complete: true,
        path: path.clone(),
    };
    assert_eq!(bench.models(), [expected]);
    assert_eq!(bench.fetch(hub.address(), Some(&sha256(&content()))).await.unwrap(), path);
    let requests = hub.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("get /o/n/resolve/v%2f1/m.gguf http/1.1\n"), "{}", requests[0]);
    assert!(requests[0].contains("authorization: bearer secret\n"), "{}", requests[0]);
}

#[tokio::test]
async fn what_is_cut_off_goes_on_where_it_stopped() {
    let bench = Bench::new();
    let hub = FakeHub::start(content(), &[Plan::Cut(30_000), Plan::Refuse(503), Plan::Cut(10_000)]);
    assert_fetched(&bench.fetch(hub.address(), Some(&sha256(&content()))).await.unwrap());
    let requests = hub.requests();
    let ranges: Vec<_> =
        requests.iter().map(|request| request.lines().find(|line| line.starts_with("range"))).collect();
    assert_eq!(
        ranges,
        [None, Some("range: bytes=30000-"), Some("range: bytes=30000-"), Some("range: bytes=40000-")]
    );
    assert!(requests[1].contains("if-range: \"80000\"\n"), "{}", requests[1]);
}

#[tokio::test]
async fn a_later_process_goes_on_with_what_an_earlier_one_left() {
    let bench = Bench::new();
    // The same bytes again and again are no progress, and the patience ends.
    let hub = FakeHub::start(content(), &[Plan::Cut(30_000), Plan::Cut(0), Plan::Cut(0)]);
    let error = bench.fetch(hub.address(), None).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Interrupted { received: 30_000, total: Some(80_000), .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("hf:o/n/m.gguf@v/1 stopped after 30000 bytes of 80000"), "{error}");
    let left = bench.models();
    assert!(!left[0].complete && left[0].sha256.is_none() && left[0].bytes == 30_000, "{left:?}");
    let later = FakeHub::start(content(), &[]);
    assert_fetched(&bench.fetch(later.address(), None).await.unwrap());
    assert!(later.requests()[0].contains("range: bytes=30000-\n"));
}

#[tokio::test]
async fn a_file_that_was_replaced_meanwhile_is_fetched_from_its_begin() {
    for new in [content(), vec![8; 10_000]] {
        let bench = Bench::new();
        let old = FakeHub::start(vec![7; 50_000], &[Plan::Cut(30_000), Plan::Cut(0), Plan::Cut(0)]);
        bench.fetch(old.address(), None).await.unwrap_err();
        let hub = FakeHub::start(new.clone(), &[]);
        let path = bench.fetch(hub.address(), None).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), new);
        let requests = hub.requests();
        assert!(requests.len() == 1 && requests[0].contains("if-range: \"50000\"\n"), "{requests:?}");
    }
}

#[tokio::test]
async fn what_is_whole_but_was_not_put_in_its_place_is_not_fetched_again() {
    let bench = Bench::new();
    let place = bench.cache().place(&bench.file);
    fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    fs::write(place.partial(), content()).unwrap();
    let hub = FakeHub::start(content(), &[]);
    assert_fetched(&bench.fetch(hub.address(), Some(&sha256(&content()))).await.unwrap());
    assert!(hub.requests().is_empty());
    // Without a digest nobody knows, and the hub says that there is nothing behind the end.
    fs::rename(&place.path, place.partial()).unwrap();
    let hub = FakeHub::start(content(), &[Plan::Refuse(416)]);
    assert_fetched(&bench.fetch(hub.address(), None).await.unwrap());
    assert_eq!(hub.requests().len(), 2);
}

#[tokio::test]
async fn other_bytes_than_were_asked_for_are_not_kept() {
    let bench = Bench::new();
    let hub = FakeHub::start(content(), &[]);
    let expected = "0".repeat(64);
    let error = bench.fetch(hub.address(), Some(&expected)).await.unwrap_err().to_string();
    for part in ["hf:o/n/m.gguf@v/1", &*expected, &sha256(&content()), "check revision"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(bench.models(), []);
}

#[tokio::test]
async fn a_file_of_the_cache_that_has_another_digest_is_replaced() {
    let bench = Bench::new();
    let old = FakeHub::start(b"old".to_vec(), &[]);
    let path = bench.fetch(old.address(), None).await.unwrap();
    assert_eq!(digest(&path).unwrap(), sha256(b"old"));
    let hub = FakeHub::start(content(), &[]);
    assert_eq!(bench.fetch(hub.address(), Some(&sha256(&content()))).await.unwrap(), path);
    assert_fetched(&path);
}

#[tokio::test]
async fn refusals_name_the_file_the_status_and_what_to_do() {
    let bench = Bench::new();
    for (status, requests, advice) in [
        (401, 1, "accept the conditions of o/n"),
        (403, 1, "accept the conditions of o/n"),
        (404, 1, "check repo, file and revision"),
        (429, 3, "wait a while"),
        (503, 3, "try again later"),
        (418, 1, "HF_ENDPOINT"),
    ] {
        let hub = FakeHub::start(content(), &[Plan::Refuse(status); 3]);
        let error = bench.fetch(hub.address(), None).await.unwrap_err().to_string();
        for part in ["127.0.0.1", "hf:o/n/m.gguf@v/1", &*status.to_string(), advice] {
            assert!(error.contains(part), "{status}: {error}");
        }
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(hub.requests().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_named_at_once() {
    // Nobody listens there, and nobody else is given the port.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = held.local_addr().unwrap();
    let error = Bench::new().fetch(&format!("http://{closed}"), None).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_at_once_one_fetches() {
    let bench = std::sync::Arc::new(Bench::new());
    let hub = FakeHub::start(content(), &[]);
    let address = hub.address().to_owned();
    let fetches: Vec<_> = (0..4)
        .map(|_| {
            let (bench, address) = (std::sync::Arc::clone(&bench), address.clone());
            tokio::spawn(async move { bench.fetch(&address, None).await })
        })
        .collect();
    for fetch in fetches {
        assert_fetched(&fetch.await.unwrap().unwrap());
    }
    assert_eq!(hub.requests().len(), 1);
    assert_eq!(bench.models().len(), 1);
}
