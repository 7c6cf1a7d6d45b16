//! The tools of a graph as written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edge::is_default;
use super::model::CredentialRef;
use crate::duration::DurationSpec;
use crate::name::VertexName;

/// A tool that vertices of this graph may name: exactly one of `http`, `command`, `mcp`, `custom`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_tool))]
pub struct ToolSpec {
    /// The name that vertices and models use.
    pub name: VertexName,
    /// What it does, for a model to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A request over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTool>,
    /// A command of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandTool>,
    /// The tools of a server of the Model Context Protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpTool>,
    /// A function that the embedding process registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomTool>,
    /// The longest that one call may take; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
}

impl ToolSpec {
    /// The names of the tools that models know through it: its own, or those that its server may offer.
    pub fn offers(&self) -> impl Iterator<Item = &str> {
        let server = self.mcp.iter().flat_map(|server| server.allow.iter().map(String::as_str));
        let own = self.mcp.is_none().then(|| self.name.as_str());
        server.chain(own)
    }
}

/// A tool that is a request over HTTP. An argument named in `url` as `{argument}` is put there,
/// percent-encoded; the others go into the query with `GET`, `HEAD` and `DELETE`, else into a JSON
/// object as the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTool {
    /// The method; default `GET`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: HttpMethod,
    /// Where; `http` or `https`.
    pub url: String,
    /// Headers, beside those of the request itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON schema of the arguments, an object. Default: no arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether a repeated call does no more than one. Default: for `GET`, `HEAD`, `PUT` and `DELETE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// How the request shows who sends it. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuth>,
    /// The most bytes of an answer; default 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
    /// Whether it may reach loopback, link-local and private addresses. Default: it may not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_private_addresses: bool,
}

impl HttpTool {
    /// Whether a repeated call does no more than one.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent.unwrap_or(match self.method {
            HttpMethod::Get | HttpMethod::Head | HttpMethod::Put | HttpMethod::Delete => true,
            HttpMethod::Post | HttpMethod::Patch => false,
        })
    }
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

/// How a request shows who sends it: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_auth))]
pub struct HttpAuth {
    /// `Authorization: Bearer …`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<CredentialRef>,
    /// A header that holds the secret itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderAuth>,
}

/// A header that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderAuth {
    /// The header.
    pub name: String,
    /// The secret.
    pub credential_ref: CredentialRef,
}

/// A tool that is a command: the arguments come as one JSON object on its standard input, and its
/// standard output is the answer, JSON or else a text. No shell is involved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandTool {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// A JSON schema of the tool's arguments, an object. Default: no arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether a repeated call does no more than one. Default: it does more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
    /// Variables of the environment that it sees, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// The most bytes of its output; default 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_bytes: Option<u64>,
}

/// The tools of a server of the Model Context Protocol: exactly one of `url` and `argv`. Models see
/// them under their own names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_server))]
pub struct McpTool {
    /// Where the server is, spoken to by streamable HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A command that is the server, spoken to over its standard input and output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Variables of the environment that the command sees, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// The tools of the server that may be called.
    pub allow: Vec<String>,
    /// Those of them of which a repeated call does no more than one. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotent: Vec<String>,
    /// A secret that is sent as `Authorization: Bearer …`; with `url` only. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_ref: Option<CredentialRef>,
    /// The most bytes of an answer; default 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
}

/// A function that the embedding process registered as a tool; it brings its own schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomTool {
    /// The name it was registered under.
    pub name: String,
    /// Whether a repeated call does no more than one. Default: it does more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
}

/// What a tool is made of: exactly one member of its [`ToolSpec`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToolKind<'a> {
    /// A request over HTTP.
    Http(&'a HttpTool),
    /// A command.
    Command(&'a CommandTool),
    /// The tools of a server.
    Mcp(&'a McpTool),
    /// A registered function.
    Custom(&'a CustomTool),
}

impl ToolSpec {
    /// What it is made of, if exactly one member is given.
    pub fn kind(&self) -> Option<ToolKind<'_>> {
        let mut kinds = self.kinds();
        let first = kinds.next();
        if kinds.next().is_some() { None } else { first }
    }

    /// Every member given.
    pub fn kinds(&self) -> impl Iterator<Item = ToolKind<'_>> {
        [
            self.http.as_ref().map(ToolKind::Http),
            self.command.as_ref().map(ToolKind::Command),
            self.mcp.as_ref().map(ToolKind::Mcp),
            self.custom.as_ref().map(ToolKind::Custom),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether no repeated call of it can do more than one: of a server's tools, whether all that are
    /// allowed are so.
    pub fn is_idempotent(&self) -> bool {
        self.kind().is_some_and(|kind| match kind {
            ToolKind::Http(http) => http.is_idempotent(),
            ToolKind::Command(command) => command.idempotent,
            ToolKind::Mcp(mcp) => mcp.allow.iter().all(|name| mcp.idempotent.contains(name)),
            ToolKind::Custom(custom) => custom.idempotent,
        })
    }
}
