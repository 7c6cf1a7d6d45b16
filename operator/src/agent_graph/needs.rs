//! What graphs and models need of worker pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_api::{GraphRunObject, ModelServerSpec};
use superstep_graph::{CredentialRef, ExternalModel, GraphSpec, ToolKind};

use super::dereference::Referenced;
use crate::weights::claims;

/// The port of HTTPS.
const HTTPS: u16 = 443;
/// The variable in which a hub's token is looked for.
const HUB_TOKEN: &str = "HF_TOKEN";

/// What worker pods have and reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Keys of Secrets, by the variables of the environment that hold them.
    pub(super) credentials: BTreeMap<String, BTreeSet<CredentialRef>>,
    /// Volumes with weights.
    pub(super) claims: BTreeSet<String>,
    /// Devices of models in the workers, by the name of the resource.
    pub(super) devices: BTreeMap<String, u32>,
    /// Model servers whose pods are asked.
    pub(super) servers: BTreeSet<String>,
    /// Ports of what is outside.
    pub(super) ports: BTreeSet<u16>,
}

/// What the runs of a graph need.
pub(super) fn needs(referenced: &Referenced) -> Needs {
    let mut needs = Needs::default();
    for spec in referenced.graphs.values() {
        needs.of_graph(spec);
    }
    for (name, server) in &referenced.servers {
        if let Some(external) = &server.spec.engine.external {
            needs.of_external(external);
        } else if server.in_worker {
            needs.in_worker(&server.spec);
        } else if server.spec.engine.scripted.is_none() {
            needs.servers.insert(name.clone());
        }
    }
    needs
}

impl Needs {
    /// Runs that go on ask the model servers that they began with, whatever their graph names by now.
    pub(super) fn keep(&mut self, runs: &[Arc<GraphRunObject>]) {
        let statuses = runs.iter().filter_map(|run| run.status.as_ref());
        self.servers.extend(statuses.flat_map(|status| status.model_servers.iter().flatten().cloned()));
    }

    fn of_graph(&mut self, spec: &GraphSpec) {
        for external in spec.models.iter().filter_map(|model| model.external.as_ref()) {
            self.of_external(external);
        }
        for kind in spec.tools.iter().filter_map(|tool| tool.kind()) {
            match kind {
                ToolKind::Http(http) => {
                    self.reaches(&http.url);
                    let auth = http.auth.iter();
                    auth.clone().filter_map(|auth| auth.bearer.as_ref()).for_each(|key| self.knows(key));
                    auth.filter_map(|auth| auth.header.as_ref())
                        .for_each(|header| self.knows(&header.credential_ref));
                }
                ToolKind::Mcp(mcp) => {
                    mcp.url.iter().for_each(|url| self.reaches(url));
                    mcp.credential_ref.iter().for_each(|key| self.knows(key));
                }
                ToolKind::Command(_) | ToolKind::Custom(_) => {}
            }
        }
    }

    fn of_external(&mut self, external: &ExternalModel) {
        external.credential_ref.iter().for_each(|key| self.knows(key));
        match &external.base_url {
            Some(url) => self.reaches(url),
            None => {
                self.ports.insert(HTTPS);
            }
        }
    }

    fn in_worker(&mut self, spec: &ModelServerSpec) {
        let model = spec.model.iter();
        self.claims.extend(model.clone().flat_map(claims).map(str::to_owned));
        for hub in model.flat_map(|model| &model.sources).filter_map(|source| source.hugging_face.as_ref()) {
            self.ports.insert(HTTPS);
            let token = hub.credential_ref.iter().cloned();
            self.credentials.entry(HUB_TOKEN.to_owned()).or_default().extend(token);
        }
        self.credentials.retain(|_, keys| !keys.is_empty());
        if let Some(gpu) = &spec.devices.gpu {
            // Models in one process share its devices.
            let count = self.devices.entry(gpu.resource_name.clone()).or_default();
            *count = gpu.count.get().max(*count);
        }
    }

    fn knows(&mut self, credential: &CredentialRef) {
        self.credentials.entry(credential.variable()).or_default().insert(credential.clone());
    }

    fn reaches(&mut self, url: &str) {
        self.ports.insert(port_of(url));
    }
}

/// The port of a URL; that of its scheme, if it names none. Parameters may stand anywhere in it but in the port.
pub(crate) fn port_of(url: &str) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    // An address of IPv6 stands in brackets.
    let after = host.rsplit(']').next().unwrap_or(host);
    let port = after.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.unwrap_or(if scheme == "http" { 80 } else { HTTPS })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn runs_that_go_on_keep_their_servers() {
        let run = |servers: Value| {
            let run = json!({
                "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": {"name": "r"},
                "spec": {"graphRef": {"name": "g"}}, "status": {"modelServers": servers},
            });
            Arc::new(serde_json::from_value::<GraphRunObject>(run).unwrap())
        };
        let mut needs = Needs { servers: BTreeSet::from(["large".to_owned()]), ..Needs::default() };
        needs.keep(&[run(json!(["large", "small"])), run(Value::Null)]);
        assert_eq!(needs.servers, BTreeSet::from(["large".to_owned(), "small".to_owned()]));
    }

    #[test]
    fn a_url_has_a_port() {
        for (url, port) in [
            ("https://api.example.com/v1", 443),
            ("http://ollama.models.svc:11434/v1", 11_434),
            ("http://example.com", 80),
            ("https://user:secret@example.com/a:1", 443),
            ("http://[::1]:8080/a", 8_080),
            ("https://[::1]/a", 443),
            ("https://{host}.example.com/{path}", 443),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
