//! Steps of Windows images.

use strake_layers::{Cancel, Platform};

use super::{Exit, Process, Runner, StepIo};
use crate::{Error, Result};

/// Stands for the runner of Windows images where there is none, and says what is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowsRunner;

impl WindowsRunner {
    fn refusal() -> Error {
        Error::environment(
            "a RUN of a Windows image needs a Windows host with the Containers feature, which strake cannot use yet",
        )
        .with_help(
            "Dockerfiles without RUN build for Windows on any host; move the RUN to a stage for another platform",
        )
    }
}

impl Runner for WindowsRunner {
    fn supports(&self, _: &Platform) -> Result<()> {
        Err(Self::refusal())
    }

    fn run(&self, _: &Process, _: &StepIo, _: &Cancel) -> Result<Exit> {
        Err(Self::refusal())
    }
}
