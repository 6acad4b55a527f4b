//! Build container images from Dockerfiles, in process, without a daemon.
//!
//! # Owns
//! The names with a stability promise: an [`Engine`] that holds a store open, a [`BuildRequest`], the [`Event`]s of a
//! build, and what it came to.
//!
//! # Depends on
//! The builder and the crates whose types it hands on. It starts no other program of its own, re-executes nothing, and
//! keeps no global state: two engines in one process do not know of each other.
//!
//! # Invariants
//! - A build that is dropped or cancelled leaves no process, mount or temporary file.
//! - Everything that a build has to tell comes as an [`Event`] or as the [`Error`] it ends with.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), strake::Error> {
//! let engine = strake::Engine::open(strake::Settings { root: "/var/lib/strake".into(), ..Default::default() })?;
//! let request = strake::BuildRequest {
//!     context: strake::ContextSource::Directory("/src/app".into()),
//!     outputs: vec![strake::Output::Oci { dest: Some("/tmp/app.tar".into()), tar: true, options: Default::default() }],
//!     ..Default::default()
//! };
//! let build = engine.build(request, strake::EventSink::new(|event| println!("{event:?}")));
//! let built = build.await?;
//! println!("{:?}", built.manifest);
//! # Ok(())
//! # }
//! ```

mod engine;
mod explain;

pub use engine::{Build, Engine};
pub use explain::{Example, Explanation, explain, explanations};
pub use strake_builder::events::{Event, EventSink, Outcome, SCHEMA_VERSION, StepId, Stream};
pub use strake_builder::plan::{
    GraphStage, StageEdge, StageEdgeKind, StageGraph, StageInstruction, StageSource, stage_graph,
};
pub use strake_builder::request::{
    BuildRequest, ContextSource, DockerfileSource, Entitlement, ImageOptions, Output, Secret, SecretValue, SshAgent,
    Ulimit,
};
pub use strake_builder::{
    Built, Checked, CheckedFile, Error, Finding, Location, LoweredDockerfile, Outline, OutlineArgument, OutlineMount,
    Result, Settings, SourceFile, Target, Targets, lower,
};
pub use strake_layers::{
    ArchiveFormat, Cancel, Compression, Descriptor, Digest, ErrorKind, Notice, NoticeSink, Platform, Timestamp,
};
pub use strake_parser::lint::secret_values;
pub use strake_parser::{
    CheckSettings, Diagnostic, Dockerfile, Edit, Fixed, Network, ParseOptions, Parsed, Rule, Severity, SourceText,
    Span, fix, format, parse, parse_bool, suggest,
};
pub use strake_registry::{ClientOptions, Credential, CredentialSource, Proxies};
pub use strake_snapshotter::{DiskUsage, Durability, ImageRecord, PruneOptions, PruneReport};
