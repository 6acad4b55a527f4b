//! What is said when a step's process could not be made.

#![cfg(target_os = "linux")]

use super::child::{CREDENTIALS, Report};
use super::rungs::{self, IdMaps, Isolation};
use super::spawner::NotStarted;
use super::sys::Errno;
use crate::Error;
use crate::runner::Process;

/// The error for a process that could not be made.
pub(super) fn not_started(
    reason: NotStarted,
    descriptions: &[String],
    process: &Process,
    isolation: &Isolation,
) -> Error {
    match reason {
        NotStarted::NoProcess(errno) => no_process(errno, isolation),
        NotStarted::Reported(Report::Failed(number, errno)) => {
            let what = descriptions.get(usize::from(number)).map_or("prepare the step", String::as_str);
            operation(what, errno)
        }
        NotStarted::Reported(Report::NoCredentials(number, errno)) => {
            let what = CREDENTIALS.get(usize::from(number)).copied().unwrap_or("change the credentials");
            let error = Error::environment(format!(
                "cannot {what} for a step (user {}, group {}): {errno}",
                process.uid, process.gid
            ));
            match isolation.maps {
                Some(IdMaps::SingleId) if errno.0 == libc::EINVAL => error.with_help(
                    "without subordinate ids only user 0 exists in a step: install uidmap and give this user a range of \
                     65536 ids in /etc/subuid and /etc/subgid, or run strake as root",
                ),
                Some(_) if errno.0 == libc::EINVAL => {
                    error.with_help("the id is outside the range that is mapped: use one below 65536, or run strake as root")
                }
                _ => error,
            }
        }
        NotStarted::Reported(report) => Error::internal(format!("the step's process reported {report:?}")),
    }
}

fn no_process(errno: Errno, isolation: &Isolation) -> Error {
    let error = Error::environment(format!("cannot make the step's process: {errno}"));
    match errno.0 {
        libc::EPERM | libc::ENOSPC | libc::EINVAL if isolation.maps.is_some() => error.with_help(rungs::blocker()),
        libc::EPERM => error.with_help("run strake as root with CAP_SYS_ADMIN"),
        libc::EAGAIN => {
            error.with_help("the limit of processes is reached (`ulimit -u`, or the container's pids limit)")
        }
        libc::ENOSYS => error.with_help("strake needs Linux 5.12 or later, and a seccomp filter that allows clone3"),
        _ => error,
    }
}

fn operation(what: &str, errno: Errno) -> Error {
    match errno.0 {
        libc::ENOENT | libc::ENOTDIR | libc::ELOOP if what.starts_with("change to the working") => {
            Error::user(format!("cannot {what}: {errno}"))
                .with_help("give the step a WORKDIR that is a directory of the image")
        }
        libc::ENOTDIR | libc::EISDIR | libc::EINVAL if what.starts_with("mount /") => Error::user(format!(
            "cannot {what}: {errno}; a directory can be mounted on a directory only, and a file on a file"
        )),
        libc::ENOENT if what.starts_with("mount ") => {
            Error::internal(format!("cannot {what} of a step: the source or the place for it does not exist"))
        }
        libc::ENOSYS => {
            Error::environment(format!("cannot {what}: {errno}")).with_help("strake needs Linux 5.12 or later")
        }
        libc::EPERM => Error::environment(format!("cannot {what} of a step: {errno}"))
            .with_help("something around strake forbids it: a container's seccomp filter, AppArmor or SELinux"),
        libc::ENOMEM | libc::ENOSPC => Error::environment(format!("cannot {what} of a step: {errno}"))
            .with_help("memory-backed files need memory: free some, or raise the container's limit"),
        _ => Error::environment(format!("cannot {what} of a step: {errno}")),
    }
}

/// The error for id maps that could not be written.
pub(super) fn no_maps(error: &std::io::Error) -> Error {
    Error::environment(format!("cannot map users into the step's user namespace: {error}")).with_help(rungs::blocker())
}

/// What is said of an operation that the step went on without; `None`: nothing worth saying.
pub(super) fn skipped(what: &str, errno: Errno) -> Option<String> {
    if what.starts_with("set resource limit") {
        return Some(format!("a step runs without a limit that was asked for: cannot {what}: {errno}"));
    }
    (what == "mount proc on /proc").then(|| {
        "a step sees the processes around it, read-only, because a /proc of its own is refused: run the container with \
         an unmasked /proc"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_told_with_what_helps() {
        let mut shown = String::new();
        let mut tell = |error: &Error| {
            writeln!(shown, "{:?}: {error}\n  {}", error.kind(), error.help().unwrap_or("-")).expect("a String");
        };
        for (what, errno) in [
            ("change to the working directory /app", libc::ENOTDIR),
            ("mount /src", libc::ENOTDIR),
            ("mount tmpfs on /src", libc::ENOENT),
            ("mount tmpfs on /src", libc::EPERM),
            ("mount tmpfs on /src", libc::ENOSPC),
            ("install the seccomp filter", libc::ENOSYS),
            ("set the host name", libc::EIO),
        ] {
            tell(&operation(what, Errno(errno)));
        }
        // As root no maps are made.
        let isolation = Isolation { maps: None, ..Isolation::candidate() };
        for errno in [libc::EPERM, libc::EAGAIN, libc::ENOSYS, libc::ENOMEM] {
            tell(&no_process(Errno(errno), &isolation));
        }
        insta::assert_snapshot!(shown, @r"
        User: cannot change to the working directory /app: Not a directory (os error 20)
          give the step a WORKDIR that is a directory of the image
        User: cannot mount /src: Not a directory (os error 20); a directory can be mounted on a directory only, and a file on a file
          -
        Internal: cannot mount tmpfs on /src of a step: the source or the place for it does not exist
          -
        Environment: cannot mount tmpfs on /src of a step: Operation not permitted (os error 1)
          something around strake forbids it: a container's seccomp filter, AppArmor or SELinux
        Environment: cannot mount tmpfs on /src of a step: No space left on device (os error 28)
          memory-backed files need memory: free some, or raise the container's limit
        Environment: cannot install the seccomp filter: Function not implemented (os error 38)
          strake needs Linux 5.12 or later
        Environment: cannot set the host name of a step: Input/output error (os error 5)
          -
        Environment: cannot make the step's process: Operation not permitted (os error 1)
          run strake as root with CAP_SYS_ADMIN
        Environment: cannot make the step's process: Resource temporarily unavailable (os error 11)
          the limit of processes is reached (`ulimit -u`, or the container's pids limit)
        Environment: cannot make the step's process: Function not implemented (os error 38)
          strake needs Linux 5.12 or later, and a seccomp filter that allows clone3
        Environment: cannot make the step's process: Cannot allocate memory (os error 12)
          -
        ");
    }
}
