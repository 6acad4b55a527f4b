//! Git repositories as sources (dockerfile.md §11.3), fetched by the `git` program.
//!
//! The program gets no terminal, no hooks, no other transport than the ones that Dockerfiles name, and secrets by its
//! environment only. What it checked out is compared with what was asked for.

mod failure;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use data_encoding::BASE64;
use strake_layers::{Cancel, ErrorKind, HostDir, ImagePath, Timestamp};
use strake_parser::git_ref::{GitRef, Mtime};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::plan::graph::AddOptions;
use crate::{Error, Result};

/// What git may say at most, on each of its streams.
const OUTPUT_LIMIT: u64 = 4 << 20;

/// How often a running git looks whether the build was stopped.
const POLL: Duration = Duration::from_millis(100);

/// A repository and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The address, without fragment and query.
    pub remote: String,
    /// Branch, tag, full reference or commit; the default branch without one.
    pub reference: Option<String>,
    /// The folder that is the top of the tree.
    pub subdir: Option<String>,
    /// What the commit's id must begin with.
    pub checksum: Option<String>,
    /// Keep `.git`.
    pub keeps_git_dir: bool,
    /// Check submodules out, too.
    pub has_submodules: bool,
    /// Give files the time of the commit.
    pub has_commit_time: bool,
    /// Transports that git may use, as `GIT_ALLOW_PROTOCOL` has them.
    pub transports: &'static str,
}

impl Wanted {
    /// Takes what a git reference says.
    pub(super) fn of(reference: &GitRef) -> Self {
        let by_commit = reference.checksum.clone().filter(|_| reference.fetch_by_commit);
        Self {
            remote: reference.remote.clone(),
            reference: by_commit.or_else(|| reference.reference.clone()),
            subdir: reference.subdir.clone(),
            checksum: reference.checksum.clone(),
            keeps_git_dir: reference.keep_git_dir.unwrap_or(false),
            has_submodules: reference.submodules.unwrap_or(true),
            // The time of the checkout would make another image of the same commit each time (edges.md 19).
            has_commit_time: reference.mtime != Some(Mtime::Checkout),
            transports: TRANSPORTS,
        }
    }

    /// Adds what the flags of ADD say; planning has seen to it that they do not contradict the reference.
    pub(super) fn add(&mut self, options: &AddOptions) {
        if let Some(keeps) = options.keep_git_dir {
            self.keeps_git_dir = keeps;
        }
        if let Some(sum) = &options.checksum {
            self.checksum = Some(sum.clone());
        }
    }
}

/// The transports that a git reference of a Dockerfile can name.
pub(super) const TRANSPORTS: &str = "git:http:https:ssh";

/// What git needs to prove who it is.
#[derive(Clone, Default)]
pub(super) struct Access {
    /// The value of an `Authorization` header for the remote.
    pub header: Option<String>,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("header", &self.header.is_some()).field("agent", &self.agent).finish()
    }
}

impl Access {
    /// Takes the secrets for a remote: those named for its host come first (dockerfile.md §11.3).
    pub(super) fn of(remote: &str, secret: &dyn Fn(&str) -> Option<Vec<u8>>, agent: Option<PathBuf>) -> Self {
        let host = host_of(remote).unwrap_or_default();
        let text = |name: String| {
            let bytes = secret(&name)?;
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            (!text.is_empty() && !text.contains(['\n', '\r', '\0'])).then_some(text)
        };
        let first = |name: &str| text(format!("{name}.{host}")).or_else(|| text(name.to_owned()));
        let basic = |token: String| format!("Basic {}", BASE64.encode(format!("x-access-token:{token}").as_bytes()));
        let header = first("GIT_AUTH_HEADER").or_else(|| first("GIT_AUTH_TOKEN").map(basic));
        Self { header, agent }
    }
}

/// A checkout.
#[derive(Debug)]
pub(super) struct Checkout {
    /// The top of the wanted tree.
    pub root: HostDir,
    /// When the commit was made.
    pub time: Timestamp,
    /// Holds the files as long as it lives.
    pub folder: tempfile::TempDir,
}

/// Fetches a repository into a folder below `scratch`.
pub(super) async fn checkout(wanted: &Wanted, access: &Access, scratch: &Path, cancel: &Cancel) -> Result<Checkout> {
    let folder = tempfile::tempdir_in(scratch)
        .map_err(|error| strake_layers::Error::host("make a folder in", scratch, error))?;
    let git = Git { wanted, access, folder: folder.path(), cancel };
    git.run(&["init", "--quiet", "--template=", "."]).await?;
    git.run(&["remote", "add", "--", "origin", &wanted.remote]).await?;
    let reference = git.fetch().await?;
    let commit = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", "FETCH_HEAD^{commit}"]).await?;
    git.check(&commit)?;
    git.run(&["checkout", "--quiet", "--force", "--detach", &commit]).await?;
    let head = git.run(&["rev-parse", "HEAD"]).await?;
    if head != commit {
        return Err(Error::internal(format!("git checked out {head} instead of {commit}")));
    }
    if wanted.has_submodules {
        git.run(&["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]).await?;
    }
    let seconds = git.run(&["show", "--no-patch", "--format=%ct", &commit]).await?;
    let time = Timestamp::from_seconds(seconds.parse().unwrap_or_default());
    if !wanted.keeps_git_dir {
        remove_git_dirs(folder.path())?;
    } else if let Some(reference) = &reference {
        // Tools that run in the kept repository ask for it by name: `git describe --tags`.
        git.run(&["update-ref", "--", reference, "FETCH_HEAD"]).await?;
    }
    let mut root = HostDir::open(folder.path())?;
    if let Some(subdir) = &wanted.subdir {
        let path =
            ImagePath::clean(subdir).map_err(|error| Error::user(format!("subdirectory {subdir:?}: {error}")))?;
        root = root.open_dir(&path).map_err(|_| git.no_directory(&root, subdir, &path, &commit))?;
    }
    Ok(Checkout { root, time, folder })
}

/// git at work in one folder.
struct Git<'a> {
    wanted: &'a Wanted,
    access: &'a Access,
    folder: &'a Path,
    cancel: &'a Cancel,
}

impl Git<'_> {
    /// Fetches the wanted commit, as little else as the server allows; gives the full name of the branch or tag that it is.
    async fn fetch(&self) -> Result<Option<String>> {
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let name = self.wanted.reference.as_deref().unwrap_or("HEAD");
        let mut tries = vec![name.to_owned()];
        if !is_commit(name) && name != "HEAD" && !name.starts_with("refs/") {
            tries = ["refs/heads/", "refs/tags/", "refs/"].map(|prefix| format!("{prefix}{name}")).to_vec();
        }
        let mut failed = None;
        for what in tries {
            let mut done = self.run(&[&fetch[..], &["--depth=1", "--", "origin", &what]].concat()).await;
            // A server that gives files and knows no git ("dumb HTTP") has no less than everything to give.
            if done.as_ref().is_err_and(|error| error.to_string().contains("shallow capabilities")) {
                done = self.run(&[&fetch[..], &["--", "origin", &what]].concat()).await;
            }
            match done {
                Ok(_) => return Ok(Some(what).filter(|what| what.starts_with("refs/"))),
                Err(error) if is_stop(&error) => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // A commit that no reference points to, or that is named by the first digits only: all must be fetched.
        if name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.run(&[&fetch[..], &["--", "origin", "+refs/heads/*:refs/remotes/origin/*"]].concat()).await?;
            self.run(&[&fetch[..], &["--", "origin", "+refs/tags/*:refs/tags/*"]].concat()).await?;
            let commit = format!("{name}^{{commit}}");
            if let Ok(commit) = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).await {
                let path = self.folder.join(".git/FETCH_HEAD");
                let line = format!("{commit}\t\t{}\n", shown(&self.wanted.remote));
                std::fs::write(&path, line).map_err(|error| strake_layers::Error::host("write", path, error))?;
                return Ok(None);
            }
        }
        let failed = failed.unwrap_or_else(|| Error::internal("nothing was fetched, and nothing failed"));
        Err(self.missing(name, failed).await?)
    }

    /// Compares a commit with what was asked for.
    fn check(&self, commit: &str) -> Result<()> {
        let remote = shown(&self.wanted.remote);
        if let Some(name) = self.wanted.reference.as_deref().filter(|name| is_commit(name))
            && !commit.eq_ignore_ascii_case(name)
        {
            return Err(Error::user(format!("{remote} gave commit {commit} for {name}")));
        }
        match &self.wanted.checksum {
            Some(sum) if !commit.starts_with(&sum.to_ascii_lowercase()) => {
                let name = self.wanted.reference.as_deref().unwrap_or("HEAD");
                let message = format!("expected checksum to match {sum}, but {name} of {remote} is commit {commit}");
                let help = "it points to another commit than the one meant: see what changed, then write its id";
                Err(Error::user(message).with_help(help))
            }
            _ => Ok(()),
        }
    }

    /// Runs git and gives what it wrote, without the line end.
    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        // What a user's own git is told must not reach this one.
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_COMMON_DIR",
            "GIT_EXTERNAL_DIFF",
        ] {
            command.env_remove(name);
        }
        let none = if Path::new("/dev/null").exists() { "/dev/null" } else { "NUL" };
        let mut settings = vec![
            ("core.hooksPath", none.to_owned()),
            ("core.fsmonitor", "false".to_owned()),
            ("core.autocrlf", "false".to_owned()),
            ("advice.detachedHead", "false".to_owned()),
            ("init.defaultBranch", "main".to_owned()),
            ("submodule.recurse", "false".to_owned()),
            ("fetch.fsckObjects", "true".to_owned()),
            ("gc.auto", "0".to_owned()),
        ];
        if let (Some(header), Some(base)) = (&self.access.header, base_of(&self.wanted.remote)) {
            settings.push(("", format!("http.{base}.extraHeader\nAuthorization: {header}")));
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (key, value)) in settings.iter().enumerate() {
            let (key, value) =
                if key.is_empty() { value.split_once('\n').unwrap_or_default() } else { (*key, value.as_str()) };
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", self.wanted.transports).env("LC_ALL", "C");
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        if let Some(agent) = &self.access.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        command.args(arguments).current_dir(self.folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let error = Error::environment(format!("cannot run git for {}: {error}", shown(&self.wanted.remote)));
            error.with_help("install git: strake uses it to fetch repositories")
        })?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (out, err) = tokio::join!(read_some(out), read_some(err));
            (child.wait().await, out, err)
        };
        let stopped = async {
            while !self.cancel.is_cancelled() {
                tokio::time::sleep(POLL).await;
            }
        };
        let (status, out, err) = tokio::select! {
            done = work => done,
            () = stopped => return Err(Error::Cancelled),
        };
        let status = status.map_err(|error| Error::environment(format!("cannot wait for git: {error}")))?;
        if status.success() {
            return Ok(out.trim_end().to_owned());
        }
        Err(self.failure(arguments.first().copied().unwrap_or_default(), &err))
    }
}

fn is_stop(error: &Error) -> bool {
    matches!(error, Error::Cancelled) || error.kind() != ErrorKind::User
}

async fn read_some(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What cannot be read is missing in a message; the exit status decides.
        let mut bounded = stream.take(OUTPUT_LIMIT);
        drop(bounded.read_to_end(&mut bytes).await);
        drop(tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tells whether a name is a whole commit id, of SHA-1 or SHA-256.
fn is_commit(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The host of an address, in URL or `user@host:path` form.
fn host_of(remote: &str) -> Option<&str> {
    let rest = match remote.split_once("://") {
        Some((_, rest)) => rest.split('/').next()?,
        None => remote.split_once(':')?.0,
    };
    Some(rest.rsplit_once('@').map_or(rest, |(_, host)| host))
}

/// Scheme and host of an http address: what credentials are for.
fn base_of(remote: &str) -> Option<String> {
    let (scheme, _) = remote.split_once("://")?;
    scheme.starts_with("http").then(|| format!("{scheme}://{}/", host_of(remote).unwrap_or_default()))
}

/// An address without a password.
pub(super) fn shown(remote: &str) -> String {
    match (remote.split_once("://"), host_of(remote)) {
        (Some((scheme, rest)), Some(host)) => {
            let path = rest.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        _ => remote.to_owned(),
    }
}

/// Removes `.git` at the top and in submodules; links are not followed.
fn remove_git_dirs(folder: &Path) -> Result<()> {
    let failed = |action| move |error| strake_layers::Error::host(action, folder, error);
    for found in std::fs::read_dir(folder).map_err(failed("read directory"))? {
        let found = found.map_err(failed("read directory"))?;
        let kind = found.file_type().map_err(failed("look at"))?;
        let path = found.path();
        if found.file_name() == ".git" {
            let removed = if kind.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|error| strake_layers::Error::host("remove", path, error))?;
        } else if kind.is_dir() {
            remove_git_dirs(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
