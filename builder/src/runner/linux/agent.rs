//! The socket of an SSH agent in a step (dockerfile.md §13.3, `type=ssh`).
//!
//! It is one of the step's own, and what comes in is passed on to the agent. The agent's own socket is never mounted: it
//! belongs to the user of the host, and a step could change its mode and owner there.

#![cfg(target_os = "linux")]

use std::fs::{File, Permissions};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use strake_parser::FileOwner;
use tempfile::TempDir;

/// The default mode of the socket.
const MODE: u32 = 0o600;

/// How many connections are served at one time; what comes on top is closed.
const MAX_CONNECTIONS: usize = 64;

/// A socket whose connections go to an agent, as long as it lives.
#[derive(Debug)]
pub(crate) struct AgentRelay {
    folder: TempDir,
    listener: Arc<UnixListener>,
    is_over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl AgentRelay {
    /// Makes a socket below `scratch` for the agent at `agent`, which must answer.
    pub(crate) fn start(agent: &Path, scratch: &Path, owner: FileOwner) -> io::Result<Self> {
        drop(UnixStream::connect(agent)?);
        let folder = tempfile::tempdir_in(scratch)?;
        // The path of a socket may have 107 bytes, and the store may lie deeper.
        let short = File::open(folder.path())?;
        let listener = Arc::new(UnixListener::bind(format!("/proc/self/fd/{}/agent", short.as_raw_fd()))?);
        let path = folder.path().join("agent");
        let (uid, gid) = (owner.uid.unwrap_or(0), owner.gid.unwrap_or(0));
        let mut mode = owner.mode.unwrap_or(MODE);
        if (uid, gid) != (0, 0) && chown(&path, Some(uid), Some(gid)).is_err() {
            // Without the right to give files away the mode lets that user in; the folder keeps others of the host out.
            mode |= 0o666;
        }
        std::fs::set_permissions(&path, Permissions::from_mode(mode))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let accepting = {
            let (listener, agent, is_over) = (Arc::clone(&listener), agent.to_owned(), Arc::clone(&is_over));
            thread::Builder::new().name("ssh agent".to_owned()).spawn(move || accept(&listener, &agent, &is_over))?
        };
        Ok(Self { folder, listener, is_over, accepting: Some(accepting) })
    }

    /// The socket.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

impl Drop for AgentRelay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread that waits for connections.
        if rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            drop(accepting.join());
        }
    }
}

fn accept(listener: &UnixListener, agent: &Path, is_over: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    while !is_over.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((step, _)) if open.load(Ordering::Acquire) < MAX_CONNECTIONS => {
                // What cannot be passed on is closed, as an agent that ends would do.
                drop(UnixStream::connect(agent).and_then(|agent| pass(step, agent, &open)));
            }
            Ok(_) => {}
            // Too many open files, most likely.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Passes on what each side says, until one of them ends.
fn pass(step: UnixStream, agent: UnixStream, open: &Arc<AtomicUsize>) -> io::Result<()> {
    let (mut from_step, mut to_agent) = (step.try_clone()?, agent.try_clone()?);
    let (mut from_agent, mut to_step) = (agent, step);
    let open = Arc::clone(open);
    thread::Builder::new().name("ssh agent".to_owned()).spawn(move || {
        open.fetch_add(1, Ordering::AcqRel);
        let asking = thread::Builder::new().spawn(move || {
            drop(io::copy(&mut from_step, &mut to_agent));
            drop(to_agent.shutdown(Shutdown::Write));
        });
        drop(io::copy(&mut from_agent, &mut to_step));
        drop(to_step.shutdown(Shutdown::Both));
        drop(asking.map(JoinHandle::join));
        open.fetch_sub(1, Ordering::AcqRel);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// An agent that says back what it is told.
    fn agent(folder: &Path) -> PathBuf {
        let path = folder.join("host");
        let listener = UnixListener::bind(&path).expect("a socket");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || drop(io::copy(&mut &stream, &mut &stream)));
            }
        });
        path
    }

    #[test]
    fn connections_are_passed_on_until_the_relay_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = agent(folder.path());
        let owner = FileOwner { mode: Some(0o640), ..FileOwner::default() };
        let relay = AgentRelay::start(&host, folder.path(), owner).expect("a relay");
        assert_eq!(std::fs::metadata(relay.path()).expect("a socket").mode() & 0o7777, 0o640);
        for text in ["one", "two"] {
            let mut stream = UnixStream::connect(relay.path()).expect("a connection");
            stream.write_all(text.as_bytes()).expect("written");
            stream.shutdown(Shutdown::Write).expect("ended");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert_eq!(answer, text);
        }
        let path = relay.path();
        drop(relay);
        assert!(!path.exists() && UnixStream::connect(&path).is_err());
    }

    #[test]
    fn an_agent_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(AgentRelay::start(&folder.path().join("none"), folder.path(), FileOwner::default()).is_err());
    }
}
