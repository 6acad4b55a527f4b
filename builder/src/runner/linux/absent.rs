//! The Linux runner where there is no Linux.

#![cfg(not(target_os = "linux"))]

use strake_layers::{Cancel, Platform};

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
