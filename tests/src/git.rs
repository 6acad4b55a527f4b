//! A repository of git to build from.

use std::process::Command;

use crate::Host;

/// Runs git in a folder of the place.
pub fn git(host: &Host, folder: &str, arguments: &str) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=strake", "-c", "user.email=strake@example.test", "-c", "init.defaultBranch=main"]);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    // The ids of commits are the same every time.
    command.env("GIT_AUTHOR_DATE", "1700000000 +0000").env("GIT_COMMITTER_DATE", "1700000000 +0000");
    let run = command.args(arguments.split_whitespace()).current_dir(host.path(folder)).output().unwrap();
    assert!(run.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Makes `web/repo.git`, which a web server of files can give as well as a server of git: tag v1, and a later commit on
/// main. The Dockerfile stands in it, and in its folder `sub`, beside a file `a`.
pub fn git_repository(host: &Host, dockerfile: &str) {
    host.write("work/Dockerfile", dockerfile);
    host.write("work/a", "first");
    host.write("work/sub/Dockerfile", dockerfile);
    host.write("work/sub/a", "below");
    host.write("work/.dockerignore", "a\n");
    git(host, "work", "init -q .");
    git(host, "work", "add -A");
    git(host, "work", "commit -q -m one");
    git(host, "work", "tag v1");
    host.write("work/a", "second");
    git(host, "work", "commit -q -a -m two");
    std::fs::create_dir_all(host.path("web")).unwrap();
    git(host, "web", "clone -q --bare ../work repo.git");
    git(host, "web/repo.git", "update-server-info");
}
