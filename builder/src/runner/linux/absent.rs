//! The Linux runner where there is no Linux.

#![cfg(not(target_os = "linux"))]

use std::io;
use std::path::{Path, PathBuf};

use strake_layers::{Cancel, Platform};
use strake_parser::FileOwner;

use super::{Hierarchy, HostFacts, LinuxOptions, Rung};
use crate::runner::{Exit, Process, Runner, StepIo};
use crate::{Error, Result};

/// Runs steps of Linux images; here it only says what is missing.
#[derive(Debug)]
pub struct LinuxRunner(());

impl LinuxRunner {
    /// Makes a runner.
    pub fn new(_: LinuxOptions) -> Result<Self> {
        Ok(Self(()))
    }

    /// Tells what the host offers.
    pub fn probe(&self) -> HostFacts {
        HostFacts {
            rung: Rung::None,
            rung_reason: Some("this is not Linux".to_owned()),
            user_namespaces: false,
            overlay: false,
            cgroups: Hierarchy::None,
            cgroup_leaves: false,
            seccomp: false,
            no_bridge: Some("this is not Linux".to_owned()),
            architectures: Vec::new(),
        }
    }
}

fn refusal() -> Error {
    Error::environment("a RUN of a Linux image needs a Linux host")
        .with_help("build on Linux or inside WSL 2; Dockerfiles without RUN build here")
}

impl Runner for LinuxRunner {
    fn supports(&self, _: &Platform) -> Result<()> {
        Err(refusal())
    }

    fn run(&self, _: &Process, _: &StepIo, _: &Cancel) -> Result<Exit> {
        Err(refusal())
    }
}

/// The socket of an SSH agent in a step; steps of Windows have none.
#[derive(Debug)]
pub(crate) enum AgentRelay {}

impl AgentRelay {
    pub(crate) fn start(_: &Path, _: &Path, _: FileOwner) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn path(&self) -> PathBuf {
        match *self {}
    }
}
