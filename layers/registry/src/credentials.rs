//! Finds credentials in docker's `config.json`, containers' `auth.json` and credential helpers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD};
use serde::Deserialize;
use strake_layers::NoticeSink;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::options::{Credential, CredentialSource, Secret};
use crate::target::Registry;

/// The most bytes of a configuration file.
const FILE_LIMIT: u64 = 1 << 20;

/// The most bytes of a helper's answer.
const HELPER_LIMIT: u64 = 64 << 10;

/// How long a helper may take; some ask the user.
const HELPER_TIME: Duration = Duration::from_secs(60);

/// What a helper prints where it knows nothing (docker-credential-helpers, credentials/error.go).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A configuration file, as far as it matters here (docker/cli, cli/config/configfile/file.go).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, AuthEntry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct AuthEntry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for AuthEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthEntry")
    }
}

/// A helper's answer (docker-credential-helpers, credentials/credentials.go).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    #[serde(default)]
    username: String,
    secret: String,
}

/// All credentials within reach, each looked up once.
#[derive(Debug)]
pub(crate) struct Keyring {
    source: CredentialSource,
    notices: NoticeSink,
    files: OnceCell<Vec<ConfigFile>>,
    known: Mutex<HashMap<(String, String), Option<Credential>>>,
}

impl Keyring {
    pub(crate) fn new(source: CredentialSource, notices: NoticeSink) -> Self {
        Self { source, notices, files: OnceCell::new(), known: Mutex::default() }
    }

    /// Finds what proves an identity to a registry, where there is something.
    pub(crate) async fn find(&self, registry: &Registry, repository: &str) -> Result<Option<Credential>> {
        if let Some((_, given)) = self.source.given.iter().find(|(host, _)| registry.is_named(host)) {
            return Ok(Some(given.clone()));
        }
        let key = (registry.authority.clone(), repository.to_owned());
        if let Some(known) = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let found = self.look_up(registry, repository).await?;
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    async fn look_up(&self, registry: &Registry, repository: &str) -> Result<Option<Credential>> {
        let files = self.files.get_or_try_init(|| load(self.source.files.clone())).await?;
        for file in files {
            let helper = file.cred_helpers.iter().find(|(key, _)| registry.is_named(split_key(key).0));
            if let Some((_, helper)) = helper {
                if let Some(found) = self.ask_helper(helper, registry).await {
                    return Ok(Some(found));
                }
                continue;
            }
            if let Some(found) = file.entry_for(registry, repository)? {
                return Ok(Some(found));
            }
            if !file.creds_store.is_empty()
                && let Some(found) = self.ask_helper(&file.creds_store, registry).await
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Asks a helper; one that fails costs a warning, since many images need no credentials at all.
    async fn ask_helper(&self, helper: &str, registry: &Registry) -> Option<Credential> {
        match run_helper(helper, registry.helper_key()).await {
            Ok(found) => found,
            Err(problem) => {
                self.notices.warn(format!(
                    "credential helper docker-credential-{helper} gave nothing for {}: {problem}; going on without credentials",
                    registry.name
                ));
                None
            }
        }
    }
}

impl ConfigFile {
    /// The entry whose key names the registry and the longest part of the repository.
    fn entry_for(&self, registry: &Registry, repository: &str) -> Result<Option<Credential>> {
        let mut best: Option<(usize, Credential)> = None;
        for (key, entry) in &self.auths {
            let (authority, path) = split_key(key);
            let is_within = path.is_empty()
                || repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !registry.is_named(authority) || !is_within {
                continue;
            }
            let Some(credential) = entry.credential(key)? else { continue };
            if best.as_ref().is_none_or(|(length, _)| path.len() > *length) {
                best = Some((path.len(), credential));
            }
        }
        Ok(best.map(|(_, credential)| credential))
    }
}

impl AuthEntry {
    fn credential(&self, key: &str) -> Result<Option<Credential>> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(Secret(self.identitytoken.clone()))));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::RegistryToken(Secret(self.registrytoken.clone()))));
        }
        if !self.auth.is_empty() {
            let problem = || {
                Error::Configuration(format!(
                    "the credentials for {key} in the docker configuration are not base64 of user:password: log in again"
                ))
            };
            let text = self.auth.trim_end_matches('\0').trim();
            let bytes = BASE64.decode(text.as_bytes()).or_else(|_| BASE64_NOPAD.decode(text.as_bytes()));
            let text = String::from_utf8(bytes.map_err(|_| problem())?).map_err(|_| problem())?;
            let (username, password) = text.split_once(':').ok_or_else(problem)?;
            return Ok(Some(basic(username, password.trim_end_matches('\0'))));
        }
        if !self.username.is_empty() {
            return Ok(Some(basic(&self.username, &self.password)));
        }
        Ok(None)
    }
}

fn basic(username: &str, password: &str) -> Credential {
    // A helper or file that holds a refresh token says so by this name (docker-credential-helpers).
    if username == "<token>" {
        return Credential::IdentityToken(Secret(password.to_owned()));
    }
    Credential::Basic { username: username.to_owned(), password: Secret(password.to_owned()) }
}

/// Splits a key into authority and repository: `https://h:1/v1/` → (`h:1`, ``), `quay.io/org` → (`quay.io`, `org`).
fn split_key(key: &str) -> (&str, &str) {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (authority, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_matches('/');
    (authority, if matches!(path, "v1" | "v2") { "" } else { path })
}

async fn load(paths: Vec<std::path::PathBuf>) -> Result<Vec<ConfigFile>> {
    let task = tokio::task::spawn_blocking(move || {
        paths.iter().filter_map(|path| read_config(path).transpose()).collect::<Result<Vec<_>>>()
    });
    task.await.map_err(|error| Error::Internal(format!("reading credentials: {error}")))?
}

/// Reads one file; `None` where there is none.
fn read_config(path: &Path) -> Result<Option<ConfigFile>> {
    let problem =
        |cause: String| Error::Configuration(format!("cannot read credentials from {}: {cause}", path.display()));
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(problem(error.to_string())),
    };
    // Checked before it is opened: a FIFO would block (edges: 13).
    if !meta.is_file() {
        return Err(problem("it is not a regular file".to_owned()));
    }
    if meta.len() > FILE_LIMIT {
        return Err(problem(format!("it is larger than {FILE_LIMIT} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // The position, but not the text: an error of serde_json may quote a value.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        problem(format!("line {}, column {} is not what docker writes there", error.line(), error.column()))
    })
}

/// Runs `docker-credential-HELPER get`: the server's address on standard input, JSON on standard output.
async fn run_helper(helper: &str, server: &str) -> Result<Option<Credential>, String> {
    if helper.is_empty() || !helper.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err("its name is not one of a program".to_owned());
    }
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input fails by its answer.
            drop(stdin.write_all(server.as_bytes()).await);
            drop(stdin.shutdown().await);
        }
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(HELPER_LIMIT + 1).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        }
        if answer.len() as u64 > HELPER_LIMIT {
            return Err(format!("it wrote more than {HELPER_LIMIT} bytes"));
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        Ok((status, answer))
    };
    let (status, answer) = tokio::time::timeout(HELPER_TIME, talk)
        .await
        .map_err(|_| format!("no answer within {} s", HELPER_TIME.as_secs()))??;
    if !status.success() {
        let text = String::from_utf8_lossy(&answer);
        let text: String = text.trim().chars().take(200).collect();
        return if text.contains(NOT_FOUND) { Ok(None) } else { Err(format!("{status}: {text}")) };
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&answer).map_err(|_| "its answer is not the JSON it should be".to_owned())?;
    if answer.username.is_empty() && answer.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(basic(&answer.username, &answer.secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ConfigFile {
        serde_json::from_str(text).unwrap()
    }

    fn user(config: &ConfigFile, registry: &str, repository: &str) -> Option<String> {
        match config.entry_for(&Registry::new(registry), repository).unwrap()? {
            Credential::Basic { username, .. } => Some(username),
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn entries_are_found_by_host_port_and_longest_repository() {
        let config = parse(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOng="},
                "localhost:5000": {"username": "five", "password": "x"},
                "quay.io": {"username": "all", "password": "x"},
                "quay.io/org": {"username": "org", "password": "x"},
                "empty.example": {}
            }, "HttpHeaders": {"a": "b"}}"#,
        );
        assert_eq!(user(&config, "docker.io", "library/a"), Some("hub".into()));
        assert_eq!(user(&config, "localhost:5000", "a"), Some("five".into()));
        assert_eq!(user(&config, "localhost:5001", "a"), None);
        assert_eq!(user(&config, "quay.io", "org/a"), Some("org".into()));
        assert_eq!(user(&config, "quay.io", "organic/a"), Some("all".into()));
        assert_eq!(user(&config, "empty.example", "a"), None);
    }

    #[test]
    fn secrets_never_show_in_debug_output() {
        let config = parse(
            r#"{"auths": {"a.example": {"identitytoken": "hidden"}, "b.example": {"username": "u", "password": "hidden"}}}"#,
        );
        assert!(!format!("{config:?}").contains("hidden"));
        let found = config.entry_for(&Registry::new("a.example"), "x").unwrap();
        assert!(!format!("{found:?}").contains("hidden"));
    }

    #[test]
    fn a_broken_entry_names_its_key_and_not_its_value() {
        let config = parse(r#"{"auths": {"a.example": {"auth": "!!hidden!!"}}}"#);
        let error = config.entry_for(&Registry::new("a.example"), "x").unwrap_err().to_string();
        insta::assert_snapshot!(error, @"the credentials for a.example in the docker configuration are not base64 of user:password: log in again");
    }

    #[tokio::test]
    async fn a_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, "{").unwrap();
        let keyring =
            Keyring::new(CredentialSource { files: vec![path.clone()], ..Default::default() }, NoticeSink::silent());
        let error = keyring.find(&Registry::new("a.example"), "x").await.unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_costs_a_warning_only() {
        assert!(run_helper("strake-test-no-such-helper", "a.example").await.is_err());
        assert!(run_helper("../evil", "a.example").await.is_err());
    }
}
