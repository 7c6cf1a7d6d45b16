//! Models are in exactly one place, external ones can be asked, and fallbacks end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::name::VertexName;
use crate::problem::{FieldPath, Problem};
use crate::spec::{ExternalModel, GraphSpec, ModelSpec, Prices, Provider};

pub(super) fn check(spec: &GraphSpec, problems: &mut Vec<Problem>) {
    let list = FieldPath::default().field("models");
    for (index, model) in spec.models.iter().enumerate() {
        let path = list.index(index);
        match (&model.model_server_ref, &model.external) {
            (Some(_), None) => {}
            (None, Some(external)) => check_external(&path.field("external"), external, problems),
            (None, None) => {
                let message = format!("model {:?} is nowhere", model.name);
                let hint = "give modelServerRef: {name: …}, or external: {provider: …, model: …}";
                problems.push(Problem::error(path.clone(), message).hint(hint));
            }
            (Some(_), Some(_)) => {
                let message = format!("model {:?} is in two places", model.name);
                let hint = "give one of modelServerRef and external; the other can be a model of its own and \
                            stand in fallbacks";
                problems.push(Problem::error(path.field("external"), message).hint(hint));
            }
        }
        fallbacks(&spec.models, &path.field("fallbacks"), model, problems);
    }
}

/// What is wrong with an external model that is written at `path`.
pub fn check_external(path: &FieldPath, external: &ExternalModel, problems: &mut Vec<Problem>) {
    let model = &external.model;
    if model.trim().is_empty() || model.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        let problem = Problem::error(path.field("model"), format!("{model:?} is no name of a model"));
        problems.push(problem.hint("give the name by which the provider knows it"));
    }
    match &external.base_url {
        None if matches!(external.provider, Provider::OpenAICompatible | Provider::Superstep) => {
            let message = format!("provider {:?} has no address of its own", external.provider);
            let problem = Problem::error(path.clone(), message);
            problems.push(problem.hint("give baseUrl, for example http://localhost:8000/v1"));
        }
        None => {}
        Some(url) => {
            if let Err((wrong, right)) = check_base_url(url) {
                let message = format!("baseUrl {url:?} {wrong}");
                problems.push(Problem::error(path.field("baseUrl"), message).hint(right));
            }
        }
    }
    if external.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
        problems.push(Problem::error(path.field("timeout"), "a request takes some time"));
    }
    let is_open =
        matches!(external.provider, Provider::Ollama | Provider::OpenAICompatible | Provider::Superstep);
    if external.credential_ref.is_none() && external.base_url.is_none() && !is_open {
        let message = format!("provider {:?} takes no request without a credential", external.provider);
        let hint =
            "give credentialRef, for example {name: openai, key: apiKey} for the variable OPENAI_API_KEY";
        problems.push(Problem::error(path.clone(), message).hint(hint));
    }
    if let Some(credential) = &external.credential_ref
        && (credential.name.is_empty() || credential.key.is_empty())
    {
        let problem = Problem::error(path.field("credentialRef"), "a secret and its key have names");
        problems.push(problem.hint("write {name: openai, key: apiKey} for the variable OPENAI_API_KEY"));
    }
    prices(&path.field("prices"), external.prices, problems);
}

fn prices(path: &FieldPath, prices: Option<Prices>, problems: &mut Vec<Problem>) {
    let Some(prices) = prices else { return };
    for (name, price) in [
        ("promptPerMillion", prices.prompt_per_million),
        ("completionPerMillion", prices.completion_per_million),
    ] {
        if price < 0.0 {
            problems.push(Problem::error(path.field(name), "a price is 0 or more"));
        }
    }
}

/// What is wrong with the address of a provider, and what would be right. Credentials and prompts leave
/// in clear only for this machine and private networks.
fn check_base_url(url: &str) -> Result<(), (&'static str, &'static str)> {
    let example = "write it as https://HOST/v1, or http://localhost:PORT/v1";
    let (is_http, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (false, rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (true, rest)
    } else {
        return Err(("is no address of http or https", example));
    };
    if rest.contains(['?', '#', '\\']) || rest.contains(|letter: char| !letter.is_ascii_graphic()) {
        return Err(("is more than scheme, host, port and path", example));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(("holds a credential", "leave it out, and name a secret in credentialRef"));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || ".-_:".contains(letter);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(("has no host", example));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(("has a port that is none", example));
    }
    if is_http && !is_near(host) {
        return Err((
            "sends prompts and credentials in clear over the internet",
            "use https://; http:// is for this machine and private networks",
        ));
    }
    Ok(())
}

/// Whether a host is this machine or in a private network: by its address, or by a name that public
/// resolvers do not have.
fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let host = host.to_ascii_lowercase();
            let private = [".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa"];
            // A number without dots is an address in another notation.
            let is_short =
                !host.contains(['.', ':']) && !host.starts_with(|letter: char| letter.is_ascii_digit());
            is_short || private.iter().any(|ending| host.ends_with(ending))
        }
    }
}

fn fallbacks(models: &[ModelSpec], path: &FieldPath, model: &ModelSpec, problems: &mut Vec<Problem>) {
    let by_name: BTreeMap<&VertexName, &ModelSpec> =
        models.iter().map(|model| (&model.name, model)).collect();
    let mut seen = BTreeSet::new();
    for (position, name) in model.fallbacks.iter().enumerate() {
        let place = path.index(position);
        if !by_name.contains_key(name) {
            let problem = Problem::error(place, format!("no model is named {name:?}"));
            problems.push(problem.nearest(name.as_str(), by_name.keys().map(|name| name.as_str())));
        } else if !seen.insert(name) {
            problems.push(Problem::error(place, format!("model {name:?} stands here already")));
        } else if reaches(&by_name, name, &model.name) {
            let message = if *name == model.name {
                format!("model {name:?} is its own fallback")
            } else {
                format!("the fallbacks of {name:?} lead back to {:?}", model.name)
            };
            let hint = "let the last model have none";
            problems.push(Problem::error(place, message).hint(hint));
        }
    }
}

/// Whether the fallbacks of `from`, and theirs, have `target` among them; `from` itself counts.
fn reaches(by_name: &BTreeMap<&VertexName, &ModelSpec>, from: &VertexName, target: &VertexName) -> bool {
    let mut seen = BTreeSet::new();
    let mut work = vec![from];
    while let Some(name) = work.pop() {
        if name == target {
            return true;
        }
        if seen.insert(name) {
            work.extend(by_name.get(name).into_iter().flat_map(|model| &model.fallbacks));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_or_near() {
        for url in [
            "https://api.example.com/v1",
            "http://localhost:11434",
            "http://127.0.0.1:8000/v1",
            "http://[::1]:8000",
            "http://192.168.1.7/v1",
            "http://ollama:11434",
            "http://vllm.models.svc:8000/v1",
            "http://vllm.models.svc.cluster.local/v1",
        ] {
            assert_eq!(check_base_url(url), Ok(()), "{url}");
        }
        for (url, wrong) in [
            ("ftp://a", "no address of http"),
            ("api.example.com/v1", "no address of http"),
            ("http://api.example.com/v1", "in clear"),
            ("http://8.8.8.8/v1", "in clear"),
            ("http://134744072/v1", "in clear"),
            ("http://[2001:db8::1]/v1", "in clear"),
            ("http://localhost.evil.com/v1", "in clear"),
            ("https://me:secret@api.example.com", "holds a credential"),
            ("http://localhost\\@evil.com", "is more than"),
            ("https://a.com/v1?key=1", "is more than"),
            ("https:///v1", "no host"),
            ("https://a.com:port/v1", "a port"),
        ] {
            let found = check_base_url(url).unwrap_err().0;
            assert!(found.contains(wrong), "{url}: {found}");
        }
    }
}
