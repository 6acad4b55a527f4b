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
//!
//! # Example
//! ```no_run
//! use strake_layers::{BlobStore, PlatformMatcher, Platform, Reference};
//! use strake_registry::{Client, ClientOptions};
//!
//! async fn pull(store: &BlobStore) -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::new(ClientOptions::default());
//!     let reference = Reference::parse("docker.io/library/busybox:1.36")?;
//!     let platform = PlatformMatcher::new(&Platform::new("linux", "amd64"));
//!     let image = client.resolve(&reference, &platform, Some(store)).await?;
//!     for layer in &image.manifest.value.layers {
//!         client.fetch_blob(&reference, layer, store).await?;
//!     }
//!     Ok(())
//! }
//! ```

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
pub use download::{Download, DownloadRequest, Validators, file_name};
pub use error::{Error, Failed, Place, Result};
pub use options::{ClientOptions, Credential, CredentialSource, ForeignUrls, Limits, Proxies, Secret};
pub use push::{ImagePush, Pushed};
pub use resolve::Resolved;
