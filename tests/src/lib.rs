//! What the end-to-end tests have in common: a place to build in, inputs made without a network, and eyes for outputs.
//!
//! # Owns
//! [`Host`], a temporary folder with a store, contexts and outputs, in which the real binary runs; [`Layout`] and
//! [`Tar`], which write images and archives byte by byte, true or forged; [`Image`], which reads what was built;
//! [`Registry`] and [`Web`], a real registry and a web server on ports of their own; [`git`] and [`git_repository`].
//!
//! # Depends on
//! The binary `strake` in the folder that cargo builds into (made once where it is missing; `STRAKE_BINARY` names
//! another one), and, where a test says so, root, a static busybox, `docker-registry`, `skopeo`.
//!
//! # Invariants
//! - No network beyond the loopback interface, nothing outside of the temporary folder.
//! - A test that lacks something says so in one line, `skipped: …`, which the tally of `cargo xtask test` counts.
//! - What makes inputs and reads outputs shares no code with the product, but for its digests.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests, too")]

mod git;
mod host;
mod image;
mod layout;
mod needs;
mod outcome;
mod registry;
mod tar;
mod web;

pub use git::{git, git_repository};
pub use host::{Build, Host, Running, binary};
pub use image::Image;
pub use layout::{BUSYBOX, Layout, LayoutLayer, MEDIA_TYPE_TAR};
pub use needs::{is_root, needs_program, needs_root};
pub use outcome::Outcome;
pub use registry::Registry;
pub use tar::Tar;
pub use web::Web;
