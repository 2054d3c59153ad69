//! `[listen]`: the HTTP server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;

use crate::limits::settings::MAX_TOKENS;
use crate::model::Problem;
use crate::written::{Fields, Node, Reader};

/// The address of the HTTP server and the credentials that callers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Host names by which callers reach it, besides this machine's own.
    pub hosts: Vec<String>,
    /// The tokens of people and programs that may do more than read.
    pub tokens: Vec<TokenSettings>,
    /// The certificate chain and its key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The network of the proxy whose connections count as encrypted.
    pub trusted_proxy: Option<IpNet>,
    /// The file with the webhook's secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// The header that carries the secret.
    pub webhook_header: String,
    /// The query parameter that may carry the secret instead.
    pub webhook_query: Option<String>,
}

/// A named token: who presents it, where it is, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// The name, which history shows.
    pub name: String,
    /// The file that holds the token.
    pub file: PathBuf,
    /// The rights.
    pub rights: BTreeSet<Right>,
}

/// A right that a token gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To read pages under a host name that is not listed.
    Read,
    /// To set, extend and release overrides, and to have pages fetched.
    Override,
    /// To approve and reject held revisions, and to reload the settings.
    Approve,
}

impl Right {
    const ALL: [Self; 3] = [Self::Read, Self::Override, Self::Approve];

    /// Returns the name, as the settings write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Override => "override",
            Self::Approve => "approve",
        }
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|right| right.name() == text);
        found.ok_or_else(|| format!("unknown right `{text}`"))
    }
}

/// The files of a TLS certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain (PEM), the server's own certificate first.
    pub cert: PathBuf,
    /// The private key (PEM).
    pub key: PathBuf,
}

const KEYS: &[&str] = &[
    "address",
    "hosts",
    "token_file",
    "tokens",
    "cert_file",
    "key_file",
    "trusted_proxy",
    "webhook_secret_file",
    "webhook_header",
    "webhook_query",
];

/// Reads `[listen]`; an inner `None` means no HTTP.
#[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
pub(super) fn read(reader: &Reader, fields: &Fields, directory: &Path) -> Option<Option<Listen>> {
    let Some(node) = fields.get("listen") else { return Some(None) };
    let listen = Section { fields: reader.table(node, "listen", KEYS)?, reader, directory };
    let address = listen.parsed("address", "write address and port, as in 127.0.0.1:9464");
    let address = match listen.fields.require(reader, "address") {
        Some(_) => address.flatten(),
        None => None,
    };
    let hosts = listen.texts(listen.fields.get("hosts"), "hosts");
    let proxy = listen.parsed("trusted_proxy", "write an address or a network, as in 10.0.0.0/8");
    let (tokens, tls, header) = (listen.tokens(), listen.tls(), listen.webhook_header());
    Some(Some(Listen {
        address: address?,
        hosts: hosts?,
        tokens: tokens?,
        tls: tls?,
        trusted_proxy: proxy?.map(|Network(network)| network),
        webhook_secret_file: listen.file("webhook_secret_file")?,
        webhook_header: header?,
        webhook_query: listen.text("webhook_query")?,
    }))
}

/// An address or a network.
struct Network(IpNet);

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alone = || text.parse::<std::net::IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| alone()).map(Self).map_err(|_| ())
    }
}

/// The fields of `[listen]`. In its results, `None` means that a problem was noted.
struct Section<'r, 'n> {
    fields: Fields<'n>,
    reader: &'r Reader<'r>,
    directory: &'r Path,
}

#[allow(clippy::option_option, reason = "None means wrong, Some(None) means nothing is set")]
impl Section<'_, '_> {
    fn text(&self, key: &str) -> Option<Option<String>> {
        match self.fields.get(key) {
            Some(node) => self.reader.text(node, key).map(|text| Some(text.value)),
            None => Some(None),
        }
    }

    fn file(&self, key: &str) -> Option<Option<PathBuf>> {
        self.text(key).map(|path| path.map(|path| self.directory.join(path)))
    }

    fn parsed<T: FromStr>(&self, key: &'static str, hint: &str) -> Option<Option<T>> {
        let Some(node) = self.fields.get(key) else { return Some(None) };
        let text = self.reader.text(node, key)?;
        let parsed = text
            .value
            .parse()
            .map_err(|_| Problem::at(&text.origin, format!("invalid {key} `{}`", text.value)).hint(hint));
        self.reader.ok(parsed).map(Some)
    }

    fn texts(&self, node: Option<&Node>, what: &str) -> Option<Vec<String>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let items = self.reader.list(node, what)?;
        Some(items.iter().filter_map(|item| self.reader.text(item, what)).map(|text| text.value).collect())
    }

    /// Reads `[[listen.tokens]]`, and `token_file` as one that allows everything.
    fn tokens(&self) -> Option<Vec<TokenSettings>> {
        let mut tokens = Vec::new();
        if let Some(file) = self.file("token_file")? {
            let rights = Right::ALL.into_iter().collect();
            tokens.push(TokenSettings { name: "token_file".to_owned(), file, rights });
        }
        let Some(list) = self.fields.get("tokens") else { return Some(tokens) };
        let nodes = self.reader.list(list, "tokens")?;
        if nodes.len() > MAX_TOKENS {
            let problem = Problem::at(&list.origin, format!("more than {MAX_TOKENS} tokens"));
            self.reader.note(problem.hint("give a token to a team instead of each person"));
            return None;
        }
        for node in nodes {
            let token = self.token(node)?;
            if tokens.iter().any(|known| known.name == token.name) {
                let problem = Problem::at(&node.origin, format!("duplicate token name `{}`", token.name));
                self.reader.note(problem.hint("give each token a name of its own"));
                return None;
            }
            tokens.push(token);
        }
        Some(tokens)
    }

    fn token(&self, node: &Node) -> Option<TokenSettings> {
        let fields = self.reader.table(node, "a token", &["name", "file", "rights"])?;
        let named = self.reader.text(fields.require(self.reader, "name")?, "name")?;
        if named.value.trim().is_empty() || named.value.chars().any(char::is_control) {
            let problem = Problem::at(&named.origin, "invalid name of a token");
            self.reader.note(problem.hint("write the name that history shall show, as in \"anna\""));
            return None;
        }
        let file = self.reader.text(fields.require(self.reader, "file")?, "file")?;
        let rights = fields.require(self.reader, "rights")?;
        let hint = "write one or more of read, override, approve";
        let rights = self.reader.list(rights, "rights")?.iter().map(|item| {
            let text = self.reader.text(item, "rights")?;
            let right = text.value.parse().map_err(|message| Problem::at(&text.origin, message).hint(hint));
            self.reader.ok(right)
        });
        let rights = rights.collect::<Option<BTreeSet<Right>>>()?;
        Some(TokenSettings { name: named.value, file: self.directory.join(file.value), rights })
    }

    fn tls(&self) -> Option<Option<TlsFiles>> {
        match (self.file("cert_file")?, self.file("key_file")?) {
            (Some(cert), Some(key)) => Some(Some(TlsFiles { cert, key })),
            (None, None) => Some(None),
            (Some(_), None) | (None, Some(_)) => {
                let problem =
                    Problem::at(self.fields.origin, "`cert_file` and `key_file` must be set together");
                self.reader.note(problem.hint("set both for TLS, or remove both"));
                None
            }
        }
    }

    fn webhook_header(&self) -> Option<String> {
        let header = self.text("webhook_header")?.unwrap_or_else(|| "x-webhook-secret".to_owned());
        let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if header.is_empty() || !header.chars().all(is_name) {
            let origin = self.fields.get("webhook_header").map_or(self.fields.origin, |node| &node.origin);
            let problem = Problem::at(origin, format!("invalid header name `{header}`"));
            self.reader.note(problem.hint("write a name without blanks, for example x-webhook-secret"));
            return None;
        }
        Some(header.to_lowercase())
    }
}
