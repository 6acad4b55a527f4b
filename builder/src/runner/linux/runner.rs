//! The Linux runner: what holds for all steps, and one step from its description to its exit.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use strake_layers::{Cancel, NoticeSink, Platform};
use strake_parser::Security;
use strake_snapshotter::{Mount, MountKind};

use super::cgroup::{self, Cgroups, Leaf};
use super::files::{self, Reach};
use super::lookup::{self, Attempt, Explained};
use super::memory::MemoryLimit;
use super::mounts::{self, Offer, OwnFiles};
use super::network::{Networks, StepNetwork, Wish};
use super::plan::{self, NetworkPlan, Parts};
use super::program::{DeviceNode, Op, Program};
use super::registry::Registry;
use super::rungs::Isolation;
use super::spawner::{NotStarted, Spawner, Started};
use super::wait::{self, Ended, Watch};
use super::{HostFacts, LinuxOptions, binfmt, failure, seccomp, trial};
use crate::runner::{Exit, Process, Runner, StepIo};
use crate::{Error, Result};

/// Runs steps of Linux images in namespaces of their own (linux.md §1).
#[derive(Debug)]
pub struct LinuxRunner {
    options: LinuxOptions,
    isolation: Isolation,
    networks: Networks,
    host: OnceLock<Host>,
    filter: OnceLock<Result<Arc<[libc::sock_filter]>, String>>,
    spawner: Mutex<Option<Arc<Spawner>>>,
    registry: OnceLock<Option<Registry>>,
    support: OnceLock<Result<(), (String, String)>>,
}

/// What is looked at once.
#[derive(Debug)]
struct Host {
    cgroups: Cgroups,
    thermal: Vec<std::ffi::CString>,
    devices: OnceLock<Vec<DeviceNode>>,
}

/// What one step holds while it runs.
struct Prepared {
    program: Program,
    descriptions: Vec<String>,
    status: OwnedFd,
    go: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// The cgroups of one step.
struct Groups {
    /// The limit goes first: its group is empty when the step is dead.
    memory: Option<MemoryLimit>,
    leaf: Option<Leaf>,
}

impl LinuxRunner {
    /// Makes a runner. Nothing is made or looked for before the first step asks.
    pub fn new(options: LinuxOptions) -> Result<Self> {
        Ok(Self {
            networks: Networks::new(options.clone()),
            options,
            isolation: Isolation::candidate(),
            host: OnceLock::new(),
            filter: OnceLock::new(),
            spawner: Mutex::new(None),
            registry: OnceLock::new(),
            support: OnceLock::new(),
        })
    }

    /// Tells what the host offers, by trying it.
    pub fn probe(&self) -> HostFacts {
        let steps = self.check_isolation();
        let rung = if steps.is_ok() { self.isolation.rung } else { super::Rung::None };
        let with_filter = self.filter().and_then(|filter| {
            let spawner = self.spawner()?;
            trial::run(&spawner, &self.isolation, Some(filter)).map_err(|_| Error::environment("no filter"))
        });
        let host = self.host();
        HostFacts {
            rung,
            rung_reason: steps.err().map(|error| match error.help() {
                Some(help) => format!("{error}: {help}"),
                None => error.to_string(),
            }),
            user_namespaces: self.spawner().is_ok_and(|spawner| trial::has_user_namespaces(&spawner, &self.isolation)),
            overlay: trial::has_overlay(),
            cgroups: host.cgroups.hierarchy,
            cgroup_leaves: host.cgroups.has_leaves(),
            seccomp: with_filter.is_ok(),
            no_bridge: Networks::why_no_bridge(rung).map(|reason| format!("{}: {}", reason.cause, reason.help)),
            architectures: binfmt::architectures(),
        }
    }

    /// The thread that makes processes, started when the first step asks.
    fn spawner(&self) -> Result<Arc<Spawner>> {
        let mut place = self.spawner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(spawner) = &*place {
            return Ok(Arc::clone(spawner));
        }
        let spawner = Spawner::start()
            .map_err(|error| Error::environment(format!("cannot start the thread that runs steps: {error}")))?;
        Ok(Arc::clone(place.insert(Arc::new(spawner))))
    }

    fn host(&self) -> &Host {
        self.host.get_or_init(|| Host {
            cgroups: Cgroups::detect(),
            thermal: trial::thermal_files(),
            devices: OnceLock::new(),
        })
    }

    fn filter(&self) -> Result<Arc<[libc::sock_filter]>> {
        let filter = self.filter.get_or_init(|| seccomp::filter().map_err(|error| error.to_string()));
        filter.clone().map_err(Error::environment)
    }

    /// Tries once whether processes can be made as they must.
    fn check_isolation(&self) -> Result<()> {
        let answer = self.support.get_or_init(|| {
            let spawner = self.spawner().map_err(|error| (error.to_string(), String::new()))?;
            trial::run(&spawner, &self.isolation, None)
        });
        answer.clone().map_err(|(message, help)| Error::environment(message).with_help(help))
    }

    fn prepare(&self, process: &Process, network: &StepNetwork, groups: &Groups, io: &StepIo) -> Result<Prepared> {
        let host = self.host();
        let in_user_namespace = self.isolation.in_user_namespace();
        let devices = match process.security {
            Security::Insecure if !in_user_namespace => host.devices.get_or_init(mounts::insecure_devices).as_slice(),
            _ => &[],
        };
        let offer = Offer {
            in_user_namespace,
            owners: self.isolation.owners,
            owns_network: !matches!(network.plan, NetworkPlan::Host),
            hierarchy: host.cgroups.hierarchy,
            thermal: host.thermal.clone(),
            devices: devices.to_vec(),
        };
        let (stdout, stdout_end) = wait::output_pipe()?;
        let (stderr, stderr_end) = wait::output_pipe()?;
        let stdin = File::open("/dev/null")
            .map_err(|error| Error::environment(format!("cannot open /dev/null of the host: {error}")))?;
        let (status, status_end) = wait::pipe()?;
        let (go, go_end) = match self.isolation.maps {
            Some(_) => Some(wait::pipe()?).unzip(),
            None => (None, None),
        };
        let parts = Parts {
            isolation: self.isolation.clone(),
            hierarchy: host.cgroups.hierarchy,
            network: network.plan.clone(),
            offer,
            files: self.own_files(process, network, &io.notices),
            filter: (process.security == Security::Sandbox).then(|| self.filter()).transpose()?,
            cgroup: groups.leaf.as_ref().and_then(Leaf::open),
            memory_group: groups.memory.as_ref().map(MemoryLimit::entrance).transpose()?.flatten(),
            registry: self
                .registry
                .get_or_init(|| Registry::open(&self.options.runtime_dir))
                .as_ref()
                .and_then(Registry::descriptor),
            stdio: [stdin.into(), stdout_end, stderr_end],
            status: status_end,
            go,
        };
        let program = plan::program(process, parts)?;
        let descriptions = program.ops.iter().map(Op::describe).collect();
        Ok(Prepared { program, descriptions, status, go: go_end, stdout, stderr })
    }

    fn groups(&self, process: &Process) -> Result<Groups> {
        let cgroups = &self.host().cgroups;
        let leaf = cgroups.leaf();
        let limit = |bytes| MemoryLimit::set(cgroups.hierarchy, leaf.as_ref(), bytes);
        Ok(Groups { memory: process.memory.map(limit).transpose()?, leaf })
    }

    fn own_files(&self, process: &Process, network: &StepNetwork, notices: &NoticeSink) -> OwnFiles {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut text = read("/etc/resolv.conf");
        if network.reach == Reach::Own && files::is_resolved_stub(&text) {
            text = read("/run/systemd/resolve/resolv.conf");
        }
        let resolver = files::resolver(&text, &self.options.dns, network.reach);
        if resolver.is_empty && !matches!(network.plan, NetworkPlan::Loopback) {
            notices.warn(
                "the step has no name server: the host's are on its own loopback; give one with `--dns`".to_owned(),
            );
        }
        OwnFiles {
            hosts: files::hosts(&process.hostname, &process.extra_hosts, network.gateway),
            resolver: resolver.text,
        }
    }

    /// Starts the process: `Err` is an error of the machine, the inner one why the program could not be executed.
    fn start(&self, process: &Process, prepared: Prepared, io: &StepIo) -> Result<Result<Running, Explained>> {
        let Prepared { program, descriptions, status, go, stdout, stderr } = prepared;
        let root = open_root(&process.root);
        let candidates = program.exec.candidates.clone();
        let mut mapping = Ok(());
        let mut go = go;
        let started = self.spawner()?.spawn(program, status, |pid| {
            if let Some(maps) = &self.isolation.maps {
                mapping = maps.write(pid);
            }
            if let (Some(go), Ok(())) = (go.take(), &mapping) {
                let _ = rustix::io::write(&go, &[1]);
            }
        });
        if let Err(error) = mapping {
            return Err(failure::no_maps(&error));
        }
        match started {
            Ok(started) => {
                for (number, errno) in &started.skipped {
                    if let Some(text) =
                        descriptions.get(usize::from(*number)).and_then(|op| failure::skipped(op, *errno))
                    {
                        io.notices.warn(text);
                    }
                }
                Ok(Ok(Running { started, stdout, stderr }))
            }
            Err(NotStarted::Reported(super::child::Report::NoProgram(number, errno))) => {
                let cwd = process.cwd.to_string();
                Ok(Err(lookup::explain(&Attempt {
                    program: process.argv.first().map_or("", String::as_str),
                    candidates: &candidates,
                    number: number.into(),
                    errno,
                    root: root.as_ref(),
                    cwd: &cwd,
                })))
            }
            Err(reason) => Err(failure::not_started(reason, &descriptions, process, &self.isolation)),
        }
    }
}

/// A process on its way.
struct Running {
    started: Started,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Runner for LinuxRunner {
    fn supports(&self, platform: &Platform) -> Result<()> {
        match platform.os.as_str() {
            "linux" => {}
            "windows" => return super::super::windows::WindowsRunner.supports(platform),
            other => return Err(Error::environment(format!("strake cannot run steps of {other} images on Linux"))),
        }
        binfmt::supports(platform)?;
        self.check_isolation()
    }

    fn run(&self, process: &Process, io: &StepIo, cancel: &Cancel) -> Result<Exit> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let network = self.networks.provide(Wish {
            network: process.network,
            refuses_host: process.refuse_host_network,
            rung: self.isolation.rung,
            notices: &io.notices,
        })?;
        let groups = self.groups(process)?;
        let prepared = self.prepare(process, &network, &groups, io)?;
        let kills_before = cgroup::oom_kills();
        let Running { started, stdout, stderr } = match self.start(process, prepared, io)? {
            Ok(running) => running,
            Err(Explained { code, hint }) => {
                return Ok(Exit { code, signal: None, oom: false, timed_out: false, hint: Some(hint) });
            }
        };
        let deadline = process.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let watch = Watch { io, cancel, deadline, grace: process.grace, leaf: groups.leaf.as_ref() };
        let ended = wait::watch(&started, stdout, stderr, &watch)?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut exit = exit(ended, &groups, kills_before);
        if exit.hint.is_none() && exit.signal.is_none() && matches!(exit.code, 126 | 127) {
            exit.hint = open_root(&process.root).and_then(|root| lookup::explain_shell(process, exit.code, &root));
        }
        Ok(exit)
    }
}

fn exit(ended: Ended, groups: &Groups, kills_before: Option<u64>) -> Exit {
    let code = ended.code.unwrap_or_else(|| 128 + ended.signal.unwrap_or(0));
    // A shell whose child was killed ends with the child's code.
    let was_killed = code == 128 + libc::SIGKILL;
    let leaf = groups.leaf.as_ref();
    // A step that goes on without what its own limit killed has not done what it says, whatever its code is.
    let was_limit = groups.memory.as_ref().is_some_and(|limit| limit.was_reached(leaf));
    let was_machine = || {
        leaf.is_some_and(Leaf::was_out_of_memory)
            || kills_before.zip(cgroup::oom_kills()).is_some_and(|(before, after)| after > before)
    };
    // What was stopped at its --timeout was killed here; a kill elsewhere on the machine meanwhile says nothing of it.
    let oom = !ended.timed_out && (was_limit || was_killed && was_machine());
    let hint = match ended.signal {
        _ if oom && groups.memory.is_some() => {
            Some("killed because it needed more memory than its --memory allows: raise the limit".to_owned())
        }
        _ if oom => Some("killed because memory ran out: give the machine or its container more".to_owned()),
        Some(libc::SIGSYS) => Some("killed by a seccomp filter of the program's own".to_owned()),
        _ => None,
    };
    Exit { code, signal: ended.signal, oom, timed_out: ended.timed_out, hint }
}

/// The root, as far as it can be looked at after the step's mounts are gone.
fn open_root(mount: &Mount) -> Option<OwnedFd> {
    match mount.kind() {
        MountKind::Detached(fd) => fd.as_fd().try_clone_to_owned().ok(),
        MountKind::Directory(path) => File::open(path).ok().map(Into::into),
    }
}
