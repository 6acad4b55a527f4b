//! Talks to registries and web servers: pull, push, credentials, retry.
//!
//! # Owns
//! The distribution protocol, its authentication, docker's credential files and helpers, mirrors, time limits, and the
//! rules for what is tried again. All asynchronous network code of strake is here.
//!
//! # Depends on
//! `strake-layers` for references, documents, digests and the blob store. It reads no environment variable and no
//! clock of the wall: files, proxies and limits are passed in by [`ClientOptions`].
//!
//! # Invariants
//! - Nothing that came over the network is believed before its digest and its size were verified.
//! - Every wait and every body has a limit.
//! - Credentials go to the host and port they belong to, and appear in no message.
//! - A push is done only when the registry confirmed the digest.

mod auth;
mod cause;
mod client;
mod credentials;
mod download;
mod error;
mod options;
mod pull;
mod push;
mod reply;
mod resolve;
mod retry;
mod sink;
mod sources;
mod target;
mod tls;
mod transport;
mod upload;

pub use client::Client;
pub use download::{Download, DownloadRequest, Validators};
pub use error::{Error, Failed, Place, Result};
pub use options::{ClientOptions, Credential, CredentialSource, ForeignUrls, Limits, Proxies, Secret};
pub use push::{ImagePush, Pushed};
pub use resolve::Resolved;
