//! RUN: key, look-up, and on a miss the process in its sandbox.

mod binds;
mod output;
mod process;
mod value;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strake_layers::{ImagePath, Layer, LayerSource, Rootfs, Timestamp};
use strake_parser::Span;
use strake_snapshotter::{MountTarget, Stack, TargetKind, Tree};

use super::run_key::run_key;
use super::{Made, Session, StepWork, run_codes};
use crate::cache::{Kept, StepKey};
use crate::events::Event;
use crate::export::blocking;
use crate::plan::graph::{RunMount, RunOp, RunOutput};
use crate::runner::{Exit, Process};
use crate::{Error, Result};

use binds::Binds;
pub(super) use binds::copy_of;
use output::Output;
use process::Prepared;
use value::Unfit;

/// The time between SIGTERM and SIGKILL when a step is stopped (linux.md §1.8).
const GRACE: Duration = Duration::from_secs(10);

/// Carries out a RUN, or takes its result from an earlier build.
pub(super) async fn run(work: &StepWork<'_>, op: &RunOp) -> Result<Made> {
    let session = work.session;
    let op = &*with_outputs(work, op)?;
    let binds = Binds::find(work, op).await?;
    let key = run_key(work, op, &binds.identities());
    let group = format!("{} {}", work.stage.display, work.step.title);
    if !work.step.no_cache
        && let Some(made) = find(session, op, &key)?
    {
        return Ok(made);
    }
    session.runner.supports(&work.stage.platform)?;
    // Another process may be executing the same step: its result is ours.
    let waiting = (Arc::clone(&session.store), key.hash);
    let _lock = blocking(move || Ok(waiting.0.lock_key(&waiting.1)?)).await?;
    if !work.step.no_cache
        && let Some(made) = find(session, op, &key)?
    {
        return Ok(made);
    }
    let miss = if session.request.explain_cache { Some(work.why_missed(&key, &group)?) } else { None };
    let began = Instant::now();
    let (layer, output) = attempt(work, op, &binds).await?;
    let at = made_at(session, began.elapsed());
    session.store.store_entries(layer.id(), layer.entries().map_or(&[][..], |entries| entries))?;
    let result = Kept { layer: layer.id(), created: at.seconds, took: began.elapsed(), output: output.as_deref() };
    session.results.keep(&key, &group, &result)?;
    Ok(Made { layer: Arc::new(layer), at, is_cached: false, miss, output })
}

/// The step with the values of variables that steps before it wrote; from here on they are like any others.
fn with_outputs<'a>(work: &StepWork<'_>, op: &'a RunOp) -> Result<Cow<'a, RunOp>> {
    if op.outputs.is_empty() {
        return Ok(Cow::Borrowed(op));
    }
    let mut whole = op.clone();
    for (name, id) in &op.outputs {
        let value = work.below.output(*id)?;
        if let Some((_, text)) = whole.env.iter_mut().find(|(known, _)| known == name) {
            *text = value.to_string();
        }
    }
    Ok(Cow::Owned(whole))
}

/// The result of an earlier build.
fn find(session: &Session, op: &RunOp, key: &StepKey) -> Result<Option<Made>> {
    let record = session.results.find(key)?.filter(|record| op.makes.is_none() || record.output.is_some());
    let Some(record) = record else { return Ok(None) };
    let layer = Arc::new(Layer::from_record(record.layer));
    let at = Timestamp::from_seconds(record.created);
    Ok(Some(Made { layer, at, is_cached: true, miss: None, output: record.output.map(Into::into) }))
}

/// When the layer was made, by the build's own clock: the time it began and how long it has been working.
fn made_at(session: &Session, took: Duration) -> Timestamp {
    let took = i64::try_from(took.as_secs()).unwrap_or(0);
    Timestamp::from_seconds(session.clock.now.seconds.saturating_add(took))
}

/// Executes the step, and again while `--retry` allows that; each time on a fresh snapshot. Only a command that failed
/// or ran out of time is tried again.
async fn attempt(work: &StepWork<'_>, op: &RunOp, binds: &Binds) -> Result<(Layer, Option<Arc<str>>)> {
    for number in 1..=op.retry {
        match execute(work, op, binds.clone()).await {
            Err(Error::Run { how, .. }) => {
                let message = format!("attempt {number} of {} failed: {how}; trying again", op.retry + 1);
                work.session.report.send(Event::Warning { id: Some(work.id), message });
            }
            other => return other,
        }
        work.session.cancel.check()?;
    }
    execute(work, op, binds.clone()).await
}

/// Runs the process and takes what it changed, and what it wrote where that is asked for.
async fn execute(work: &StepWork<'_>, op: &RunOp, binds: Binds) -> Result<(Layer, Option<Arc<str>>)> {
    let session = Arc::clone(work.session);
    let layers = work.below.layers.clone();
    session.resolver.ensure_blobs(&layers).await?;
    let rootfs = Arc::new(session.rootfs(&layers).await?);
    let prepared = Prepared::make(work, op, &rootfs, binds)?;
    let io = Output::new(work, op.makes.is_some());
    let command = op.argv.join(" ");
    let timeout = op.timeout;
    let ran = blocking(move || {
        let trees = materialise(&session, &layers, &rootfs)?;
        let outcome = run_over(&session, &trees, &rootfs, prepared, &io);
        io.finish();
        match outcome? {
            Ran::Failed(exit) => Err(failed(&session, &command, &exit, timeout, io.tail())),
            other => Ok(other),
        }
    })
    .await?;
    match (ran, &op.makes) {
        (Ran::Layer(layer, value), _) => Ok((*layer, value)),
        (Ran::Unfit(unfit), Some(output)) => Err(unfit_error(work, output, &unfit)),
        _ => Err(Error::internal("a step has no result")),
    }
}

/// Writes out all layers of a view, each once.
pub(super) fn materialise(session: &Session, layers: &[Arc<Layer>], rootfs: &Rootfs) -> Result<Vec<Tree>> {
    let mut trees = Vec::with_capacity(layers.len());
    for (at, layer) in layers.iter().enumerate() {
        session.cancel.check()?;
        trees.push(session.snapshotter.materialise(layer, Some(&rootfs.lowest(at)))?);
    }
    Ok(trees)
}

enum Ran {
    Layer(Box<Layer>, Option<Arc<str>>),
    Failed(Exit),
    /// What it wrote cannot be the value of a variable.
    Unfit(Unfit),
}

fn run_over(session: &Session, trees: &[Tree], rootfs: &Arc<Rootfs>, prepared: Prepared, io: &Output) -> Result<Ran> {
    let stack = Stack { trees, rootfs };
    let (mut targets, parts) = prepared.open(session)?;
    targets.extend(system_targets());
    let active = session.snapshotter.prepare(&stack, &targets)?;
    let root = active.mount()?;
    if let Some(missing) = &parts.missing_cwd {
        root.make_directories(&missing.paths, &missing.meta)?;
    }
    let process = Process {
        root,
        argv: parts.argv,
        env: parts.env,
        cwd: parts.cwd,
        uid: parts.uid,
        gid: parts.gid,
        groups: parts.groups,
        hostname: parts.hostname,
        mounts: parts.mounts,
        network: parts.network,
        security: parts.security,
        extra_hosts: session.request.extra_hosts.clone(),
        ulimits: session.request.ulimits.clone(),
        shm_size: session.request.shm_size,
        timeout: parts.timeout,
        memory: parts.memory,
        grace: GRACE,
        refuse_host_network: session.request.refuse_host_network,
    };
    let exit = session.runner.run(&process, &io.step_io(), &session.cancel)?;
    drop(process);
    session.cancel.check()?;
    if exit.code != 0 || exit.timed_out || exit.oom {
        active.discard();
        return Ok(Ran::Failed(exit));
    }
    let value = match io.value(&session.masks) {
        Ok(value) => value,
        Err(unfit) => {
            active.discard();
            return Ok(Ran::Unfit(unfit));
        }
    };
    let layer = active.commit()?;
    drop(parts.guards);
    debug_assert!(matches!(layer.source(), LayerSource::Upper), "a RUN makes an upper layer");
    Ok(Ran::Layer(Box::new(layer), value))
}

/// Where the sandbox itself mounts (linux.md §1.3).
fn system_targets() -> impl Iterator<Item = MountTarget> {
    let directories = ["proc", "dev", "sys"].map(|name| (name, TargetKind::Directory));
    let files = ["etc/hosts", "etc/resolv.conf"].map(|name| (name, TargetKind::File));
    directories.into_iter().chain(files).filter_map(|(name, kind)| {
        let path = ImagePath::parse(name).ok()?;
        Some(MountTarget { path, kind })
    })
}

/// The error of a process that failed.
fn failed(session: &Session, command: &str, exit: &Exit, timeout: Option<Duration>, tail: Vec<String>) -> Error {
    let command = String::from_utf8_lossy(&session.masks.apply(command.as_bytes())).into_owned();
    let help = exit.hint.clone().or_else(|| what_to_do(exit, &command).map(str::to_owned));
    Error::Run { command, how: how(exit, timeout), code: exit.code, tail, help }
}

/// How a process ended.
fn how(exit: &Exit, timeout: Option<Duration>) -> String {
    match exit.signal {
        _ if exit.timed_out => format!("stopped after --timeout={:?}", timeout.unwrap_or_default()),
        Some(signal) if exit.oom => format!("killed by signal {signal}: out of memory"),
        Some(signal) => format!("exit code: {} (killed by signal {signal})", exit.code),
        None if exit.oom => format!("exit code: {} (a process was killed for want of memory)", exit.code),
        None => format!("exit code: {}", exit.code),
    }
}

/// What most often helps after an exit code; that of a program that a signal ended is, in a shell, 128 and the signal's
/// number.
fn what_to_do(exit: &Exit, command: &str) -> Option<&'static str> {
    Some(match exit.code {
        _ if exit.timed_out => "raise the limit, or find out in the output above what it waited for",
        _ if command.contains("\r\n") => {
            "the command has line ends of Windows, which a shell takes for part of its words: save the Dockerfile with \
             LF line ends"
        }
        127 if exit.signal.is_none() => {
            "127 most often means that a program was not found: is it installed in this stage, and in PATH?"
        }
        126 if exit.signal.is_none() => {
            "126 means that a file cannot be executed: its mode, the program after #!, or another architecture"
        }
        132 => "132 is SIGILL: most often a program was built for a newer processor than this one",
        134 => "134 is SIGABRT: a program gave up, and most often says why in its last lines",
        137 => "137 is SIGKILL: most often the machine or a limit ran out of memory",
        139 => "139 is SIGSEGV: a program crashed; the mistake is in it, or in a library that does not fit it",
        143 => "143 is SIGTERM: something asked the program to end",
        _ => return None,
    })
}

/// A user error at a step or a part of it, with its code.
fn user_error(work: &StepWork<'_>, code: &'static str, message: String, help: &str, span: Span) -> Error {
    work.session.locate(code, work.step, span, Error::user(message).with_help(help))
}

/// The error of output that cannot be the value of a variable, at the flag that asks for it.
fn unfit_error(work: &StepWork<'_>, output: &RunOutput, unfit: &Unfit) -> Error {
    let message = format!("RUN --env={}: {unfit}", output.name);
    user_error(work, run_codes::OUTPUT, message, unfit.help(), output.span)
}

/// A user error at a mount of a step.
fn mount_error(work: &StepWork<'_>, code: &'static str, message: String, help: &str, mount: &RunMount) -> Error {
    user_error(work, code, message, help, mount.span)
}

/// The code of errors about mounts.
const MOUNT: &str = run_codes::MOUNT;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_end_of_a_process_is_told_with_what_helps() {
        let mut shown = String::new();
        let mut tell = |exit: Exit, command: &str| {
            let timeout = Some(Duration::from_secs(90));
            let help = what_to_do(&exit, command).unwrap_or("-");
            writeln!(shown, "{}\n  {help}", how(&exit, timeout)).expect("a String takes all");
        };
        let exit = |code, signal| Exit { code, signal, oom: false, timed_out: false, hint: None };
        for code in [1, 126, 127, 132, 134, 137, 139, 143] {
            tell(exit(code, None), "make");
            if code > 128 {
                tell(exit(code, Some(code - 128)), "make");
            }
        }
        tell(exit(2, None), "set -e\r\nmake");
        tell(Exit { oom: true, ..exit(137, None) }, "make");
        tell(Exit { oom: true, ..exit(137, Some(9)) }, "make");
        tell(Exit { timed_out: true, ..exit(143, Some(15)) }, "make");
        insta::assert_snapshot!(shown, @r"
        exit code: 1
          -
        exit code: 126
          126 means that a file cannot be executed: its mode, the program after #!, or another architecture
        exit code: 127
          127 most often means that a program was not found: is it installed in this stage, and in PATH?
        exit code: 132
          132 is SIGILL: most often a program was built for a newer processor than this one
        exit code: 132 (killed by signal 4)
          132 is SIGILL: most often a program was built for a newer processor than this one
        exit code: 134
          134 is SIGABRT: a program gave up, and most often says why in its last lines
        exit code: 134 (killed by signal 6)
          134 is SIGABRT: a program gave up, and most often says why in its last lines
        exit code: 137
          137 is SIGKILL: most often the machine or a limit ran out of memory
        exit code: 137 (killed by signal 9)
          137 is SIGKILL: most often the machine or a limit ran out of memory
        exit code: 139
          139 is SIGSEGV: a program crashed; the mistake is in it, or in a library that does not fit it
        exit code: 139 (killed by signal 11)
          139 is SIGSEGV: a program crashed; the mistake is in it, or in a library that does not fit it
        exit code: 143
          143 is SIGTERM: something asked the program to end
        exit code: 143 (killed by signal 15)
          143 is SIGTERM: something asked the program to end
        exit code: 2
          the command has line ends of Windows, which a shell takes for part of its words: save the Dockerfile with LF line ends
        exit code: 137 (a process was killed for want of memory)
          137 is SIGKILL: most often the machine or a limit ran out of memory
        killed by signal 9: out of memory
          137 is SIGKILL: most often the machine or a limit ran out of memory
        stopped after --timeout=90s
          raise the limit, or find out in the output above what it waited for
        ");
    }
}
