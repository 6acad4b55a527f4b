//! Finds out what the host offers by trying it, with processes that execute nothing.

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::fs::File;
use std::sync::Arc;

use super::child::Report;
use super::mounts::text;
use super::program::{Credentials, Exec, Op, Owners, Program};
use super::rungs::{self, IdMaps, Isolation};
use super::spawn::Pointers;
use super::spawner::{NotStarted, Spawner};
use super::sys;
use super::{Rung, wait};

/// Tries to make a process as steps need it: `Err` is the message and the way out.
pub(super) fn run(
    spawner: &Spawner,
    isolation: &Isolation,
    filter: Option<Arc<[libc::sock_filter]>>,
) -> Result<(), (String, String)> {
    let cannot = |text: String| (format!("a RUN cannot be run here: {text}"), help(isolation));
    let no_pipe = |error: crate::Error| cannot(error.to_string());
    let null = || File::open("/dev/null").map(Into::into).map_err(|error| cannot(format!("/dev/null: {error}")));
    let (status, status_end) = wait::pipe().map_err(no_pipe)?;
    let (go, go_end) = wait::pipe().map_err(no_pipe)?;
    let mut namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let mut ops = Vec::new();
    if isolation.maps.is_some() {
        namespaces |= libc::CLONE_NEWUSER;
        ops.push(Op::AwaitIdMaps { go });
    }
    ops.extend([Op::PrivateMounts, Op::Stage { files: Vec::new(), owners: isolation.owners }]);
    let descriptions: Vec<_> = ops.iter().map(Op::describe).collect();
    ops.extend(filter.map(Op::Filter));
    let program = Program {
        namespaces: u64::from(namespaces.cast_unsigned()),
        cgroup: None,
        ops,
        credentials: Credentials { uid: 0, gid: 0, groups: None, bounding: u64::MAX >> 1, keeps_all: false },
        exec: Exec {
            candidates: Vec::new(),
            argv: Pointers::new(Vec::new()),
            env: Pointers::new(Vec::new()),
            stdio: [null()?, null()?, null()?],
        },
        parent: sys::own_number(),
        registry: None,
        status: status_end,
    };
    let mut mapping = Ok(());
    let mut go_end = Some(go_end);
    let started = spawner.spawn(program, status, |pid| {
        mapping = isolation.maps.as_ref().map_or(Ok(()), |maps| maps.write(pid));
        if let (Some(go), Ok(())) = (go_end.take(), &mapping) {
            let _ = rustix::io::write(&go, &[1]);
        }
    });
    if let Err(error) = mapping {
        return Err(cannot(format!("users cannot be mapped into a user namespace: {error}")));
    }
    match started {
        // Everything was done, and there was nothing to execute. Capabilities of the whole set are refused where strake
        // has fewer, which a step does not mind.
        Ok(_) | Err(NotStarted::Reported(Report::NoProgram(..) | Report::NoCredentials(5, _))) => Ok(()),
        Err(NotStarted::NoProcess(errno)) => Err(cannot(format!("the namespaces of a step are refused: {errno}"))),
        Err(NotStarted::Reported(Report::Failed(number, errno))) => {
            let what = descriptions.get(usize::from(number)).map_or("install the seccomp filter", String::as_str);
            Err(cannot(format!("cannot {what}: {errno}")))
        }
        Err(NotStarted::Reported(report)) => Err(cannot(format!("a process reported {report:?}"))),
    }
}

fn help(isolation: &Isolation) -> String {
    match isolation.maps {
        Some(_) => format!("{}; Dockerfiles without RUN build here", rungs::blocker()),
        None => {
            "run strake as root with CAP_SYS_ADMIN, in a container for instance `--privileged`; Dockerfiles without \
                 RUN build here"
                .to_owned()
        }
    }
}

/// Whether user namespaces can be made.
pub(super) fn has_user_namespaces(spawner: &Spawner, isolation: &Isolation) -> bool {
    let maps = match isolation.rung {
        Rung::Rootful => IdMaps::SelfMapped,
        _ => IdMaps::SingleId,
    };
    let isolation = Isolation { maps: Some(maps), owners: Owners::Single, ..isolation.clone() };
    run(spawner, &isolation, None).is_ok()
}

/// Whether the kernel mounts overlay file systems.
pub(super) fn has_overlay() -> bool {
    match sys::fs_open(c"overlay") {
        Ok(fd) => {
            sys::close(fd);
            true
        }
        // Without privileges it can still be had inside a user namespace.
        Err(_) => std::fs::read_to_string("/proc/filesystems")
            .is_ok_and(|text| text.lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay")),
    }
}

/// The files of /sys that count thermal events of each processor, which tell load of the host.
pub(super) fn thermal_files() -> Vec<CString> {
    let Ok(folder) = std::fs::read_dir("/sys/devices/system/cpu") else { return Vec::new() };
    let names = folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let processors = names.filter(|name| {
        let number = name.strip_prefix("cpu").unwrap_or("");
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    processors
        .map(|name| format!("sys/devices/system/cpu/{name}/thermal_throttle"))
        .filter(|path| std::path::Path::new("/").join(path).exists())
        .map(|path| text(&path))
        .collect()
}
