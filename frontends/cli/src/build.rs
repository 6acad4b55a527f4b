//! `strake build`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use strake::{Built, Engine, NoticeSink};

use crate::args::{BuildArgs, ProgressMode, StoreArgs};
use crate::progress::Screen;
use crate::{exit, render, request, settings, sys};

/// Builds, and writes the files that tell what came of it.
pub(crate) fn run(store: &StoreArgs, args: &BuildArgs) -> Result<ExitCode> {
    if args.progress == ProgressMode::Rawjson {
        bail!("--progress rawjson is the reference's own stream: strake's is --progress json");
    }
    let mut scratch = None;
    let request = request::make(args, &mut scratch)?;
    let quiet = args.quiet;
    let mode = if quiet { ProgressMode::Quiet } else { args.progress };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let settings = settings::make(store)?;
    let ended = runtime.block_on(async {
        let mut signals = sys::signals()?;
        let screen = Screen::new(mode, args.explain_cache);
        let sink = screen.sink();
        let notices = NoticeSink::new(move |notice| {
            if let strake::Notice::Warning(message) = notice {
                sink.send(strake::Event::Warning { id: None, message });
            }
        });
        let engine = Engine::open_with(settings, &notices)?;
        let build = engine.build(request, screen.sink());
        let cancel = build.cancel();
        let mut signal = None;
        tokio::pin!(build);
        let result = loop {
            tokio::select! {
                result = &mut build => break result,
                Some(number) = signals.recv() => {
                    if signal.is_none() {
                        signal = Some(number);
                        cancel.cancel();
                    } else {
                        cancel.cancel_now();
                    }
                }
            }
        };
        screen.finish();
        anyhow::Ok((result, signal))
    });
    runtime.shutdown_background();
    let (result, signal) = ended?;
    match result {
        Ok(built) => {
            report(args, &built)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            crate::complain(&render::error(&error, console::colors_enabled_stderr()));
            Ok(ExitCode::from(exit::code(&error, signal)))
        }
    }
}

/// `--iidfile`, `--metadata-file`, `--quiet`.
fn report(args: &BuildArgs, built: &Built) -> Result<()> {
    if let Some(path) = &args.iidfile {
        let id = built.image_id.as_ref().context("there is no image for --iidfile")?;
        write_whole(path, id.to_string().as_bytes())?;
    }
    if let Some(path) = &args.metadata_file {
        let mut metadata = serde_json::Map::new();
        if let Some(config) = &built.config {
            metadata.insert("containerimage.config.digest".to_owned(), json!(config));
        }
        if let Some(manifest) = &built.manifest {
            metadata.insert("containerimage.descriptor".to_owned(), json!(manifest));
            metadata.insert("containerimage.digest".to_owned(), json!(manifest.digest));
        }
        if !built.names.is_empty() {
            metadata.insert("image.name".to_owned(), json!(built.names.join(",")));
        }
        let mut text = serde_json::to_vec_pretty(&metadata)?;
        text.push(b'\n');
        write_whole(path, &text)?;
    }
    if args.quiet
        && let Some(id) = &built.image_id
    {
        crate::say(&id.to_string());
    }
    Ok(())
}

/// Writes a file beside its place and renames it there (edges.md 4).
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = || format!("cannot write {}", path.display());
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return std::fs::write(path, bytes).with_context(fail);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(fail)?;
    file.write_all(bytes).with_context(fail)?;
    file.as_file().sync_all().with_context(fail)?;
    file.persist(path).with_context(fail)?;
    Ok(())
}
