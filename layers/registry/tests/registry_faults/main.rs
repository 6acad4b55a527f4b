//! The client against a registry that misbehaves, against web servers, and against the real `docker-registry`.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]
#![expect(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod auth;
mod download;
mod mock;
mod pull;
mod push;
mod real;
mod resolve;
