#![cfg(unix)]

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The folder of the store where none is named (linux.md §4.1).
pub(crate) fn default_root() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/strake"));
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map(|data| data.join("strake"))
}

/// The numbers of the signals that end a build, as they come.
pub(crate) fn signals() -> std::io::Result<mpsc::UnboundedReceiver<i32>> {
    let (send, receive) = mpsc::unbounded_channel();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut stream = signal(kind)?;
        let send = send.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if send.send(kind.as_raw_value()).is_err() {
                    return;
                }
            }
        });
    }
    Ok(receive)
}
