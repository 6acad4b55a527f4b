//! `strake images`, `prune` and `doctor`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use strake::{Engine, PruneOptions};

use crate::args::{PruneArgs, StoreArgs};
use crate::{fields, say, settings};

fn open(store: &StoreArgs) -> Result<Engine> {
    Ok(Engine::open(settings::make(store)?)?)
}

/// Lists the images of the store.
pub(crate) fn images(store: &StoreArgs) -> Result<ExitCode> {
    let images = open(store)?.images()?;
    let width = images.iter().map(|image| image.name.len()).max().unwrap_or(0).max("NAME".len());
    say(&format!("{:width$}  DIGEST", "NAME"))?;
    for image in images {
        say(&format!("{:width$}  {}", image.name, image.manifest.digest))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes what is not needed.
pub(crate) fn prune(store: &StoreArgs, args: &PruneArgs) -> Result<ExitCode> {
    let options = PruneOptions {
        all: args.all,
        keep_storage: args.keep_storage.as_deref().map(fields::size).transpose().context("--keep-storage")?,
        until: args.until.as_deref().map(fields::seconds).transpose().context("--until")?.map(Duration::from_secs),
        dry_run: args.dry_run,
    };
    let report = open(store)?.prune(&options)?;
    let verb = if args.dry_run { "would remove" } else { "removed" };
    say(&format!("{verb} {} in {} parts", indicatif::HumanBytes(report.bytes), report.removed.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what this machine can do.
pub(crate) fn doctor(store: &StoreArgs) -> Result<ExitCode> {
    for (name, fact) in open(store)?.doctor() {
        say(&format!("{name}: {fact}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
