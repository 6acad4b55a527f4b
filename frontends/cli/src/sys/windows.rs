#![cfg(windows)]

use std::path::PathBuf;

use tokio::sync::mpsc;

/// SIGINT, which stands for Ctrl-C and Ctrl-Break.
const INTERRUPT: i32 = 2;

/// The folder of the store where none is named (windows.md §7.3).
pub(crate) fn default_root() -> Option<PathBuf> {
    std::env::var_os("ProgramData").map(|data| PathBuf::from(data).join("strake"))
}

/// The numbers of the signals that end a build, as they come.
pub(crate) fn signals() -> std::io::Result<mpsc::UnboundedReceiver<i32>> {
    let (send, receive) = mpsc::unbounded_channel();
    let mut stream = tokio::signal::windows::ctrl_c()?;
    tokio::spawn(async move {
        while stream.recv().await.is_some() {
            if send.send(INTERRUPT).is_err() {
                return;
            }
        }
    });
    Ok(receive)
}
