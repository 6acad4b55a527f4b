//! The child between `clone3` and `execve`: it carries out a [`Program`] with raw system calls only.
//!
//! It shares the parent's memory and runs while the thread that made it is suspended. It must not allocate, lock,
//! panic or return; what it has to tell goes through the status pipe as [`Report`]s.

#![cfg(target_os = "linux")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, RawFd};

use super::program::{Base, Credentials, DeviceNode, Exec, Need, Op, Owners, Program, StagedFile};
use super::sys::{self, Capabilities, Errno, Follow, Raw};

/// What the child tells its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It waits for its id maps.
    NeedsIdMaps,
    /// An operation was refused, and the step goes on without it.
    Skipped(u16, Errno),
    /// An operation failed, and the child has ended.
    Failed(u16, Errno),
    /// The credentials could not be changed, and the child has ended: the number of the change.
    NoCredentials(u16, Errno),
    /// No candidate could be executed, and the child has ended: the number of the candidate.
    NoProgram(u16, Errno),
}

impl Report {
    /// The bytes of a report on the pipe: fewer than `PIPE_BUF`, so never torn.
    pub(super) const SIZE: usize = 8;

    fn encode(self) -> [u8; Self::SIZE] {
        let (kind, number, errno) = match self {
            Self::NeedsIdMaps => (0, 0, Errno(0)),
            Self::Skipped(number, errno) => (1, number, errno),
            Self::Failed(number, errno) => (2, number, errno),
            Self::NoCredentials(number, errno) => (3, number, errno),
            Self::NoProgram(number, errno) => (4, number, errno),
        };
        let [n0, n1] = number.to_le_bytes();
        let [e0, e1, e2, e3] = errno.0.to_le_bytes();
        [kind, 0, n0, n1, e0, e1, e2, e3]
    }

    /// Reads a report.
    pub(super) fn decode(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [kind, _, n0, n1, e0, e1, e2, e3] = bytes;
        let number = u16::from_le_bytes([n0, n1]);
        let errno = Errno(i32::from_le_bytes([e0, e1, e2, e3]));
        Some(match kind {
            0 => Self::NeedsIdMaps,
            1 => Self::Skipped(number, errno),
            2 => Self::Failed(number, errno),
            3 => Self::NoCredentials(number, errno),
            4 => Self::NoProgram(number, errno),
            _ => return None,
        })
    }
}

/// What the operations share.
struct State<'a> {
    program: &'a Program,
    /// The new root.
    root: RawFd,
    /// The memory-backed file system of the private files.
    stage: RawFd,
    /// How many mounts lie on the old root.
    stacked: u32,
}

impl State<'_> {
    /// Makes a detached mount part of the mount namespace, as operations on parts of it need.
    fn adopt(&mut self, mount: RawFd) -> Raw {
        sys::attach_on_root(mount)?;
        self.stacked += 1;
        Ok(())
    }
}

/// The child's whole life.
pub(super) extern "C" fn run(program: &Program) -> ! {
    sys::set_umask(0);
    // Opened while the host's /proc is in sight.
    let stat = sys::open(c"/proc/self/stat", libc::O_RDONLY);
    let mut state = State { program, root: -1, stage: -1, stacked: 0 };
    let mut number = 0u16;
    let mut was_skipped = false;
    for op in &program.ops {
        let need = need(op);
        if need != Need::Instead || was_skipped {
            match perform(&mut state, op) {
                Ok(()) => was_skipped = false,
                Err(errno) if need == Need::May => {
                    was_skipped = true;
                    report(program, Report::Skipped(number, errno));
                }
                Err(errno) => fail(program, Report::Failed(number, errno)),
            }
        }
        number = number.wrapping_add(1);
    }
    // /dev/stdout is opened anew through /proc, by whoever the step is. Where the id is not mapped, so be it.
    let [_, stdout, stderr] = &program.exec.stdio;
    for output in [stdout, stderr] {
        let _ = sys::set_owner(output.as_raw_fd(), program.credentials.uid, program.credentials.gid);
    }
    if let Err((step, errno)) = become_user(&program.credentials) {
        fail(program, Report::NoCredentials(step, errno));
    }
    if let Ok(stat) = stat {
        report_birth(program, stat);
    }
    execute(program, &program.exec)
}

/// Writes the process down, and ends it where strake is dead: from here on it dies with strake, but had strake died
/// before, nobody would tell.
fn report_birth(program: &Program, stat: RawFd) {
    let mut bytes = [0; 512];
    let Ok(count) = sys::read_stat(stat, &mut bytes) else { return };
    let text = bytes.get(..count).unwrap_or_default();
    if let Some(registry) = &program.registry {
        // A full disk costs the sweep, not the step.
        let _ = sys::write_all(registry.as_raw_fd(), text);
    }
    if program.parent.is_some_and(|parent| parent != sys::parent_in(text)) {
        sys::exit(127);
    }
}

fn need(op: &Op) -> Need {
    match op {
        Op::Limit { .. } => Need::May,
        Op::Fresh { need, .. } | Op::Bind { need, .. } => *need,
        _ => Need::Must,
    }
}

fn report(program: &Program, report: Report) {
    let _ = sys::write_all(program.status.as_raw_fd(), &report.encode());
}

fn fail(program: &Program, what: Report) -> ! {
    report(program, what);
    sys::exit(127)
}

fn perform(state: &mut State<'_>, op: &Op) -> Raw {
    match op {
        Op::AwaitIdMaps { go } => {
            report(state.program, Report::NeedsIdMaps);
            let mut byte = [0];
            match sys::read(go.as_raw_fd(), &mut byte)? {
                0 => Err(Errno(libc::EPERM)),
                _ => {
                    // Only as the namespace's root may it go on mounting whoever it was before.
                    sys::set_gid(0)?;
                    sys::set_uid(0)
                }
            }
        }
        Op::EnterGroup(list) => sys::write_all(list.as_raw_fd(), b"0"),
        Op::PrivateMounts => sys::make_mounts_private(),
        Op::LoopbackUp => sys::loopback_up(),
        Op::JoinNetwork(fd) => sys::enter_network(fd.as_raw_fd()),
        Op::HostName(name) => sys::set_host_name(name),
        Op::Adopt(tree) => state.adopt(tree.as_raw_fd()),
        Op::Root(base) => {
            let tree = grab(state, base, None)?;
            sys::attach_on_root(tree)?;
            state.root = tree;
            Ok(())
        }
        Op::Stage { files, owners } => stage(state, files, *owners),
        Op::Fresh { kind, options, attrs, target, .. } => {
            let mount = fresh(kind, options.iter().map(|(key, value)| (key.as_c_str(), value.as_deref())), *attrs)?;
            put(state, mount, target)
        }
        Op::Devices(nodes) => devices(state, nodes),
        Op::Place { parent, name, is_directory } => place(state, parent, name, *is_directory),
        Op::Bind { base, inner, attrs, target, .. } => {
            let tree = grab(state, base, inner.as_deref())?;
            if *attrs != 0 {
                sys::set_attrs(tree, *attrs)?;
            }
            put(state, tree, target)
        }
        Op::Mask(path) => mask(state, path),
        Op::ReadOnly(path) => {
            let Some(target) = existing(state, path)? else { return Ok(()) };
            let tree = sys::clone_tree(target)?;
            sys::set_attrs(tree, sys::attr::RDONLY)?;
            let answer = sys::attach(tree, target);
            sys::close(tree);
            sys::close(target);
            answer
        }
        Op::Pivot => sys::pivot_to(state.root, state.stacked),
        Op::WorkingDir(path) => {
            let dir = sys::open_in_root(state.root, path, libc::O_PATH | libc::O_DIRECTORY, Follow::Inside)?;
            let answer = sys::change_dir(dir);
            sys::close(dir);
            answer
        }
        Op::Limit { resource, soft, hard } => sys::set_limit(*resource, *soft, *hard),
        Op::Filter(filter) => sys::install_filter(filter),
    }
}

/// Makes a file system and a detached mount of it.
fn fresh<'a>(kind: &CStr, options: impl Iterator<Item = (&'a CStr, Option<&'a CStr>)>, attrs: u64) -> Raw<RawFd> {
    let fs = sys::fs_open(kind)?;
    let answer = (|| {
        // What /proc/mounts shows as the device; runtimes name the type, and programs look for it.
        sys::fs_set(fs, c"source", Some(kind))?;
        for (key, value) in options {
            sys::fs_set(fs, key, value)?;
        }
        sys::fs_mount(fs, attrs)
    })();
    sys::close(fs);
    answer
}

/// Makes a directory or an empty file, where there is nothing yet.
fn place(state: &State<'_>, parent: &CStr, name: &CStr, is_directory: bool) -> Raw {
    let dir = sys::open_in_root(state.root, parent, libc::O_PATH | libc::O_DIRECTORY, Follow::Inside)?;
    let answer = if is_directory {
        sys::make_dir(dir, name, 0o755)
    } else {
        sys::open_at(dir, name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC, 0o644).map(sys::close)
    };
    sys::close(dir);
    match answer {
        Err(errno) if errno.0 == libc::EEXIST => Ok(()),
        answer => answer,
    }
}

/// Mounts a detached tree on a path of the new root.
fn put(state: &State<'_>, tree: RawFd, target: &CStr) -> Raw {
    let target = sys::open_in_root(state.root, target, libc::O_PATH, Follow::Inside)?;
    let answer = sys::attach(tree, target);
    sys::close(target);
    sys::close(tree);
    answer
}

/// Makes a detached tree of a part of a base.
fn grab(state: &State<'_>, base: &Base, inner: Option<&CStr>) -> Raw<RawFd> {
    match base {
        Base::Detached(fd) => Ok(fd.as_raw_fd()),
        // Whatever was adopted later lies upon it, and must not come along.
        Base::Adopted(fd) => part(*fd, inner.unwrap_or(c"/"), sys::clone_mount),
        Base::Path(path) => {
            let whole = sys::open(path, libc::O_PATH)?;
            let answer = match inner {
                Some(inner) => part(whole, inner, sys::clone_tree),
                None => sys::clone_tree(whole),
            };
            sys::close(whole);
            answer
        }
        Base::Staged(name) => {
            let file = sys::open_at(state.stage, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
            let answer = sys::clone_tree(file);
            sys::close(file);
            answer
        }
    }
}

fn part(whole: RawFd, inner: &CStr, clone: fn(RawFd) -> Raw<RawFd>) -> Raw<RawFd> {
    let found = sys::open_in_root(whole, inner, libc::O_PATH, Follow::Inside)?;
    let answer = clone(found);
    sys::close(found);
    answer
}

fn stage(state: &mut State<'_>, files: &[StagedFile], owners: Owners) -> Raw {
    let options = [(c"mode", Some(c"700"))];
    let attrs = sys::attr::NOSUID | sys::attr::NODEV;
    // Kernels before 6.4 do not know `noswap`, and refuse it inside a user namespace.
    let mount = fresh(c"tmpfs", options.into_iter().chain([(c"noswap", None)]), attrs)
        .or_else(|_| fresh(c"tmpfs", options.into_iter(), attrs))?;
    state.adopt(mount)?;
    state.stage = mount;
    for file in files {
        let fd = sys::open_at(mount, &file.name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600)?;
        sys::write_all(fd, &file.bytes)?;
        if owners == Owners::Real {
            sys::set_owner(fd, file.owner.0, file.owner.1)?;
        }
        sys::set_mode(fd, file.mode)?;
        sys::close(fd);
    }
    Ok(())
}

/// The links of /dev (linux.md §1.3).
const DEVICE_LINKS: [(&CStr, &CStr); 5] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"ptmx", c"pts/ptmx"),
];

fn devices(state: &State<'_>, nodes: &[DeviceNode]) -> Raw {
    let dev = sys::open_in_root(state.root, c"dev", libc::O_PATH | libc::O_DIRECTORY, Follow::Inside)?;
    for (name, target) in DEVICE_LINKS {
        sys::make_link(target, dev, name)?;
    }
    for name in [c"pts", c"shm", c"mqueue"] {
        sys::make_dir(dev, name, 0o755)?;
    }
    for node in nodes {
        if node.name.as_bytes().starts_with(b"net/") {
            let _ = sys::make_dir(dev, c"net", 0o755);
        }
        match sys::make_node(dev, &node.name, node.mode, node.number) {
            // Inside a user namespace nodes are refused, but the host's can be bound.
            Err(Errno(libc::EPERM)) => {
                sys::close(sys::open_at(dev, &node.name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o666)?);
                let host = sys::open(&node.host, libc::O_PATH)?;
                let tree = sys::clone_tree(host)?;
                let target = sys::open_at(dev, &node.name, libc::O_PATH, 0)?;
                sys::attach(tree, target)?;
                for fd in [host, tree, target] {
                    sys::close(fd);
                }
            }
            answer => answer?,
        }
    }
    sys::close(dev);
    Ok(())
}

/// Opens a path of the new root, `None` where it does not exist.
fn existing(state: &State<'_>, path: &CStr) -> Raw<Option<RawFd>> {
    match sys::open_in_root(state.root, path, libc::O_PATH, Follow::NotLast) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn mask(state: &State<'_>, path: &CStr) -> Raw {
    let Some(target) = existing(state, path)? else { return Ok(()) };
    let cover = if sys::file_type(target)? == libc::S_IFDIR {
        fresh(c"tmpfs", [(c"mode", Some(c"755")), (c"size", Some(c"4k"))].into_iter(), sys::attr::RDONLY)?
    } else {
        part(state.root, c"dev/null", sys::clone_tree)?
    };
    let answer = sys::attach(cover, target);
    sys::close(cover);
    sys::close(target);
    answer
}

/// Capabilities are numbered below 64; the kernel refuses the ones it does not know with EINVAL.
const CAPABILITIES: std::ops::Range<i32> = 0..64;

fn become_user(credentials: &Credentials) -> Result<(), (u16, Errno)> {
    let Credentials { uid, gid, groups, bounding, keeps_all } = credentials;
    for number in CAPABILITIES {
        if bounding >> number & 1 == 0 {
            match sys::process_control(libc::PR_CAPBSET_DROP, i64::from(number) as _, 0) {
                Ok(()) => {}
                Err(Errno(libc::EINVAL)) => break,
                Err(errno) => return Err((0, errno)),
            }
        }
    }
    if *keeps_all {
        sys::process_control(libc::PR_SET_KEEPCAPS, 1, 0).map_err(|errno| (1, errno))?;
    }
    if let Some(groups) = groups {
        sys::set_groups(groups).map_err(|errno| (2, errno))?;
    }
    sys::set_gid(*gid).map_err(|errno| (3, errno))?;
    sys::set_uid(*uid).map_err(|errno| (4, errno))?;
    let caps = if *keeps_all {
        Capabilities { effective: *bounding, permitted: *bounding, inheritable: *bounding }
    } else if *uid == 0 {
        Capabilities { effective: *bounding, permitted: *bounding, inheritable: 0 }
    } else {
        Capabilities::default()
    };
    sys::set_capabilities(caps).map_err(|errno| (5, errno))?;
    if *keeps_all {
        for number in CAPABILITIES.filter(|number| bounding >> number & 1 == 1) {
            let raise = i64::from(libc::PR_CAP_AMBIENT_RAISE);
            match sys::process_control(libc::PR_CAP_AMBIENT, raise as _, i64::from(number) as _) {
                Ok(()) => {}
                Err(Errno(libc::EINVAL)) => break,
                Err(errno) => return Err((6, errno)),
            }
        }
    }
    // Changing the user clears it, so it comes last (linux.md §1.8).
    sys::process_control(libc::PR_SET_PDEATHSIG, i64::from(libc::SIGKILL) as _, 0).map_err(|errno| (7, errno))
}

/// What could not be done when the credentials were changed, by number of [`Report::NoCredentials`].
pub(super) const CREDENTIALS: [&str; 9] = [
    "drop capabilities from the bounding set",
    "keep capabilities over the change of user",
    "set the supplementary groups",
    "set the group",
    "set the user",
    "set capabilities",
    "raise ambient capabilities",
    "bind the step's life to strake's",
    "connect standard input and output",
];

/// How often, and after how many milliseconds, a program is tried again that is being written to.
const BUSY_TRIES: u32 = 200;
const BUSY_PAUSE: i64 = 5;

fn execute(program: &Program, exec: &Exec) -> ! {
    let _ = sys::new_session();
    for (fd, number) in exec.stdio.iter().zip(0..) {
        if let Err(errno) = sys::dup_onto(fd.as_raw_fd(), number) {
            fail(program, Report::NoCredentials(8, errno));
        }
    }
    if let Err(errno) = sys::close_rest_on_exec() {
        fail(program, Report::NoCredentials(8, errno));
    }
    sys::set_umask(0o022);
    sys::reset_signals();
    let mut worst = (0u16, Errno(libc::ENOENT));
    let mut number = 0u16;
    for candidate in &exec.candidates {
        let mut answer = sys::exec(candidate, &exec.argv, &exec.env);
        // Another process that is just being made may still hold a copy of the descriptor this program was written
        // through; it lets go when it executes its own.
        for _ in 0..BUSY_TRIES {
            if answer != Errno(libc::ETXTBSY) {
                break;
            }
            sys::pause(BUSY_PAUSE);
            answer = sys::exec(candidate, &exec.argv, &exec.env);
        }
        match answer {
            Errno(libc::ENOENT | libc::ENOTDIR) => {}
            // Another directory of PATH may hold one that can be executed (execvp(3)).
            Errno(libc::EACCES) => worst = (number, Errno(libc::EACCES)),
            errno => fail(program, Report::NoProgram(number, errno)),
        }
        number = number.wrapping_add(1);
    }
    fail(program, Report::NoProgram(worst.0, worst.1))
}
