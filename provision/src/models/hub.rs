//! A model hub: how its files are named and asked for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use superstep_api::HuggingFaceSource;

use super::fetch_error::FetchError;

const HUGGING_FACE: &str = "https://huggingface.co";
/// So long may a hub take to accept a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// So long may a hub send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// A file of a repository, at a revision, whose parts are names and lead nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile(HuggingFaceSource);

impl TryFrom<HuggingFaceSource> for HubFile {
    type Error = FetchError;

    fn try_from(source: HuggingFaceSource) -> Result<Self, FetchError> {
        match source.misnamed() {
            None => Ok(Self(source)),
            Some((_, what)) => Err(FetchError::Name { repo: source.repo, file: source.file, what }),
        }
    }
}

impl From<HubFile> for HuggingFaceSource {
    fn from(file: HubFile) -> Self {
        file.0
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HuggingFaceSource { repo, file, revision, .. } = &self.0;
        write!(f, "hf:{repo}/{file}")?;
        if revision == "main" { Ok(()) } else { write!(f, "@{revision}") }
    }
}

impl HubFile {
    /// Reads `hf:OWNER/NAME/FILE` or `hf:OWNER/NAME/FILE@REVISION`; nothing if `text` is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let address = text.strip_prefix("hf:")?;
        let (path, revision) = address.rsplit_once('@').unwrap_or((address, "main"));
        let mut parts = path.splitn(3, '/');
        let (owner, name, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (repo, file) = (format!("{owner}/{name}"), file.to_owned());
        let source = HuggingFaceSource { repo, file, revision: revision.to_owned(), credential_ref: None };
        Self::try_from(source).ok()
    }

    /// Whether it is the weights of a sentence model.
    pub(crate) fn is_sentence_model(&self) -> bool {
        self.0.file.ends_with(".safetensors")
    }

    /// The file `name` of the same folder.
    pub(crate) fn beside(&self, name: &str) -> Self {
        let folder = self.0.file.rsplit_once('/').map(|(folder, _)| folder);
        let file = folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
        Self(HuggingFaceSource { file, ..self.0.clone() })
    }

    /// Where it lies below a folder of repositories; the revision is one name.
    pub(crate) fn path(&self) -> PathBuf {
        let revision = self.0.revision.replace('%', "%25").replace('/', "%2F");
        Path::new(&self.0.repo).join(revision).join(&self.0.file)
    }
}

/// A hub, and who asks it.
#[derive(Debug)]
pub(crate) struct Hub {
    client: Client,
    endpoint: Url,
    /// Never shown.
    token: Option<HeaderValue>,
}

impl Hub {
    /// The hub that the environment names: `HF_ENDPOINT`, else Hugging Face; asked with `HF_TOKEN`, if there is one.
    ///
    /// # Errors
    /// A variable has a value that is of no use, or there is no TLS on this machine.
    pub(crate) fn new(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, FetchError> {
        let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| HUGGING_FACE.to_owned());
        let endpoint = Url::parse(endpoint.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(FetchError::Endpoint { endpoint })?;
        let token = set("HF_TOKEN").map(|token| {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| FetchError::Token)?;
            value.set_sensitive(true);
            Ok::<_, FetchError>(value)
        });
        let client = Client::builder()
            .user_agent(concat!("superstep/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|source| FetchError::Client { source })?;
        Ok(Self { client, endpoint, token: token.transpose()? })
    }

    /// Asks for a file, from the byte `from` on if it is still the one that had the entity tag.
    ///
    /// # Errors
    /// The hub cannot be reached, or answers with no file.
    pub(crate) async fn ask(
        &self,
        file: &HubFile,
        from: Option<(u64, &str)>,
    ) -> Result<Response, FetchError> {
        let url = self.url(file);
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some((first, etag)) = from
            && let (Ok(range), Ok(etag)) =
                (HeaderValue::try_from(format!("bytes={first}-")), HeaderValue::try_from(etag))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, etag);
        }
        let answer = self.client.get(url).headers(headers).send().await.map_err(|source| {
            FetchError::Unreachable { file: file.to_string(), hub: self.host(), source: source.without_url() }
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        Err(FetchError::Refused {
            file: file.to_string(),
            hub: self.host(),
            status,
            advice: self.advice(status, file),
        })
    }

    fn url(&self, HubFile(file): &HubFile) -> Url {
        let mut url = self.endpoint.clone();
        {
            let mut path = url.path_segments_mut().expect("an http address has a path");
            path.pop_if_empty().extend(file.repo.split('/')).push("resolve").push(&file.revision);
            path.extend(file.file.split('/'));
        }
        url
    }

    fn host(&self) -> String {
        self.endpoint.host_str().unwrap_or_default().to_owned()
    }

    fn advice(&self, status: StatusCode, file: &HubFile) -> String {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.token.is_none() => {
                "set HF_TOKEN to a token that may read the repository, and check its name: hubs answer so for \
                 repositories that do not exist, too"
                    .to_owned()
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
                "the token in HF_TOKEN may not read it: accept the conditions of {} on its page, or take another token",
                file.0.repo
            ),
            StatusCode::NOT_FOUND => "check repo, file and revision".to_owned(),
            StatusCode::TOO_MANY_REQUESTS => "wait a while, or set HF_TOKEN".to_owned(),
            status if status.is_server_error() => "try again later".to_owned(),
            _ => "HF_ENDPOINT names another hub".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_hub_have_one_way_to_be_written() {
        for (text, repo, file, revision) in [
            ("hf:o/n/m.gguf", "o/n", "m.gguf", "main"),
            ("hf:o/n/q/m.gguf@v1", "o/n", "q/m.gguf", "v1"),
            ("hf:o/n/m.gguf@refs/pr/1", "o/n", "m.gguf", "refs/pr/1"),
        ] {
            let parsed = HubFile::parse(text).unwrap();
            assert_eq!((&*parsed.0.repo, &*parsed.0.file, &*parsed.0.revision), (repo, file, revision));
            assert_eq!(parsed.to_string(), text);
        }
        for wrong in [
            "m.gguf",
            "hf:",
            "hf:o/n",
            "hf:o/n/",
            "hf:../../x",
            "hf:o/n/a/../b",
            "hf:o/n/m@",
            "hf:o/n/m@../x",
        ] {
            assert_eq!(HubFile::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_do_not_change_the_address() {
        let hub =
            Hub::new(&|name| (name == "HF_ENDPOINT").then(|| "http://hub.test/base/".to_owned())).unwrap();
        let file = HubFile::parse("hf:o/n/a b?/c#.gguf@refs/pr/1").unwrap();
        let expected = "http://hub.test/base/o/n/resolve/refs%2Fpr%2F1/a%20b%3F/c%23.gguf";
        assert_eq!(hub.url(&file).as_str(), expected);
        assert_eq!(file.path(), Path::new("o/n/refs%2Fpr%2F1/a b?/c#.gguf"));
    }

    #[test]
    fn what_the_environment_says_is_checked_and_no_token_is_shown() {
        for (name, value) in
            [("HF_ENDPOINT", "ftp://x"), ("HF_ENDPOINT", "hub"), ("HF_TOKEN", "secret\nx: y")]
        {
            let error = Hub::new(&|asked| (asked == name).then(|| value.to_owned())).unwrap_err();
            assert!(error.to_string().contains(name) && !error.to_string().contains("secret"), "{error}");
        }
        let hub = Hub::new(&|name| (name == "HF_TOKEN").then(|| "secret".to_owned())).unwrap();
        assert!(!format!("{hub:?}").contains("secret"));
    }
}
