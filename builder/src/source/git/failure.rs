//! What went wrong with a repository, and what to do about it.

use strake_layers::{ErrorKind, HostDir, HostKind, ImagePath};
use strake_parser::suggest;

use super::{Git, is_commit, is_stop, shown};
use crate::{Error, Result};

/// Up to so many branches and tags are named.
const SHOWN: usize = 8;

impl Git<'_> {
    /// Makes the error of a run that failed, of what git said.
    pub(super) fn failure(&self, what: &str, said: &str) -> Error {
        let remote = shown(&self.wanted.remote);
        let said = said.replace(&self.wanted.remote, &remote);
        let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let (kind, help) = judge(&said);
        Error::Other { kind, message: format!("git {what} of {remote} failed: {said}"), help: help.map(str::to_owned) }
    }

    /// Explains why what was asked for did not come, where the repository itself can be asked.
    pub(super) async fn missing(&self, name: &str, failed: Error) -> Result<Error> {
        let remote = shown(&self.wanted.remote);
        let listed = match self.run(&["ls-remote", "--heads", "--tags", "--refs", "--", &self.wanted.remote]).await {
            Ok(listed) => listed,
            Err(error) if is_stop(&error) => return Err(error),
            Err(_) => return Ok(failed),
        };
        if is_commit(name) {
            let message = format!("{remote} does not give commit {name}: {failed}");
            let help =
                "is it pushed, and does a branch or tag still lead to it? A commit of a fork is in the fork alone";
            return Ok(Error::user(message).with_help(help));
        }
        let references = listed.lines().filter_map(|line| line.split('\t').nth(1));
        let is_full = name.starts_with("refs/");
        let names: Vec<&str> = references
            .filter_map(|one| {
                if is_full { Some(one) } else { one.strip_prefix("refs/")?.split_once('/').map(|(_, one)| one) }
            })
            .collect();
        if names.is_empty() {
            return Ok(Error::user(format!("{remote} has neither branches nor tags")).with_help("push a commit to it"));
        }
        let help = match suggest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => {
                let more = if names.len() > SHOWN { ", …" } else { "" };
                format!("it has {}{more}", names[..names.len().min(SHOWN)].join(", "))
            }
        };
        let what = if is_full { "reference" } else { "branch or tag" };
        Ok(Error::user(format!("{remote} has no {what} {name:?}")).with_help(help))
    }

    /// The error of a folder that the commit does not have.
    pub(super) fn no_directory(&self, root: &HostDir, subdir: &str, path: &ImagePath, commit: &str) -> Error {
        let wanted = path.to_string();
        let wanted = wanted.trim_start_matches('/');
        let above = path.parent().unwrap_or_default();
        let found = root.read_dir(&above).unwrap_or_default();
        let names = found.iter().filter(|found| found.entry.kind == HostKind::Directory).filter_map(|found| {
            let below = above.join_path(&ImagePath::parse(&*found.name).ok()?);
            Some(below.to_string().trim_start_matches('/').to_owned())
        });
        let names: Vec<String> = names.collect();
        let help = match suggest(wanted, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => "the folder counts from the top of the repository, and letter case matters".to_owned(),
        };
        let remote = shown(&self.wanted.remote);
        Error::user(format!("{remote} has no directory {subdir:?} at commit {commit}")).with_help(help)
    }
}

/// Tells from what git says whose problem it is, and what may help.
fn judge(said: &str) -> (ErrorKind, Option<&'static str>) {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["could not read Username", "Authentication failed", "Permission denied", "error: 403", "error: 401"]) {
        let help =
            "a private repository needs --secret id=GIT_AUTH_TOKEN,env=VARIABLE, or --ssh default for its SSH address";
        (ErrorKind::Denied, Some(help))
    } else if has(&["Could not resolve host", "Connection", "timed out", "unable to access", "early EOF"]) {
        (ErrorKind::Network, Some("is the host up, and does it need a proxy (https_proxy) to be reached from here?"))
    } else if has(&["not found", "does not appear to be a git repository", "not exported"]) {
        let help = "does it exist, and is it spelled right? Servers call a private repository missing, too: give it \
                    --secret id=GIT_AUTH_TOKEN,env=VARIABLE";
        (ErrorKind::User, Some(help))
    } else {
        (ErrorKind::User, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_tells_whose_problem_it_is() {
        for (said, kind) in [
            ("fatal: unable to access 'https://h/x.git/': The requested URL returned error: 403", ErrorKind::Denied),
            ("fatal: could not read Username for 'https://h': terminal prompts disabled", ErrorKind::Denied),
            ("fatal: unable to access 'https://h/x.git/': Could not resolve host: h", ErrorKind::Network),
            ("fatal: repository 'https://h/x.git/' not found", ErrorKind::User),
            // Digits of a commit are no status of a server.
            ("fatal: remote error: upload-pack: not our ref 4034010000000000000000000000000000000000", ErrorKind::User),
        ] {
            let (found, help) = judge(said);
            assert_eq!(found, kind, "{said}");
            assert_eq!(help.is_none(), said.contains("not our ref"), "{said}");
        }
    }
}
