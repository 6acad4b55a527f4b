//! `strake build`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;
use strake::{Built, Cancel, Engine, NoticeSink, Settings};

use crate::args::{BuildArgs, ProgressMode, StoreArgs};
use crate::call::{self, Call};
use crate::progress::Screen;
use crate::{check, exit, render, request, settings, sys};

/// Builds, and writes the files that tell what came of it.
pub(crate) fn run(store: &StoreArgs, args: &BuildArgs) -> Result<ExitCode> {
    if args.progress == ProgressMode::Rawjson {
        bail!("--progress rawjson is the reference's own stream: strake's is --progress json");
    }
    match args.call {
        Call::Check(Some(format)) => return check::call(store, args, format),
        Call::Outline(format) => return call::outline(store, args, format),
        Call::Targets(format) => return call::targets(store, args, format),
        Call::Build | Call::Check(None) => {}
    }
    let mut scratch = None;
    let request = request::make(args, &mut scratch)?;
    let quiet = args.quiet;
    let mode = if quiet { ProgressMode::Quiet } else { args.progress };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let settings = settings::make(store)?;
    let cancel = Cancel::new();
    // Waiting for other processes at the store ends with this build, too.
    let settings = Settings { cancel: cancel.clone(), ..settings };
    let signal = Arc::new(AtomicI32::new(0));
    let result = runtime.block_on(async {
        stop_on_signals(&cancel, &signal)?;
        let screen = Screen::new(mode, args.explain_cache);
        let sink = screen.sink();
        let notices = NoticeSink::new(move |notice| {
            if let strake::Notice::Warning(message) = notice {
                sink.send(strake::Event::Warning { id: None, message });
            }
        });
        let opened = tokio::task::spawn_blocking(move || Engine::open_with(settings, &notices)).await?;
        let result = match opened {
            Ok(engine) => engine.build_with(request, screen.sink(), cancel).await,
            Err(error) => Err(error),
        };
        if mode == ProgressMode::Json {
            // Programs read the findings here; for people they stand in the error.
            for finding in result.as_ref().err().map(strake::Error::findings).unwrap_or_default() {
                screen.sink().send(strake::Event::Diagnostic { finding: finding.clone() });
            }
        }
        screen.finish();
        anyhow::Ok(result)
    });
    runtime.shutdown_background();
    match result? {
        Ok(built) => {
            report(args, &built)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            crate::complain(&render::error(&error, console::colors_enabled_stderr()));
            let signal = Some(signal.load(Ordering::SeqCst)).filter(|number| *number != 0);
            Ok(ExitCode::from(exit::code(&error, signal)))
        }
    }
}

/// Stops the build at the first signal, and at once at the second; the first one's number is noted.
fn stop_on_signals(cancel: &Cancel, first: &Arc<AtomicI32>) -> Result<()> {
    let mut signals = sys::signals()?;
    let (cancel, first) = (cancel.clone(), Arc::clone(first));
    tokio::spawn(async move {
        while let Some(number) = signals.recv().await {
            match first.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => cancel.cancel(),
                Err(_) => cancel.cancel_now(),
            }
        }
    });
    Ok(())
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
        crate::say(&id.to_string())
            .map_err(|error| anyhow!("{error:#}\nnote: the build is done: its image is {id}"))?;
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
