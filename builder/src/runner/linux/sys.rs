//! The system calls of the sandbox, raw: no allocation, no lock, so that the child between `clone3` and `execve` may
//! use all of them. Each answers the kernel's value or its error number.

#![cfg(target_os = "linux")]
#![expect(
    unsafe_code,
    reason = "raw system calls, which no safe crate offers for a child that shares its parent's memory"
)]

use std::ffi::{CStr, c_long};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::spawn::Pointers;

/// The result of a raw call.
pub(super) type Raw<T = ()> = Result<T, Errno>;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(pub(super) i32);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// `struct mount_attr` (linux/mount.h), which libc lacks.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Mount attributes (linux/mount.h, `MOUNT_ATTR_*`).
pub(super) mod attr {
    pub(in super::super) const RDONLY: u64 = 0x1;
    pub(in super::super) const NOSUID: u64 = 0x2;
    pub(in super::super) const NODEV: u64 = 0x4;
    pub(in super::super) const NOEXEC: u64 = 0x8;
    pub(in super::super) const STRICTATIME: u64 = 0x20;
}

const AT_RECURSIVE: c_long = 0x8000;
const AT_EMPTY_PATH: c_long = 0x1000;
const OPEN_TREE_CLONE: c_long = 1;
const OPEN_TREE_CLOEXEC: c_long = libc::O_CLOEXEC as c_long;
const MOVE_MOUNT_F_EMPTY_PATH: c_long = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: c_long = 0x40;
const FSCONFIG_SET_FLAG: c_long = 0;
const FSCONFIG_SET_STRING: c_long = 1;
const FSCONFIG_CMD_CREATE: c_long = 6;
/// A null argument.
const NONE: c_long = 0;

/// A file descriptor as a call's argument.
pub(super) fn arg(fd: RawFd) -> c_long {
    c_long::from(fd)
}

fn text(text: &CStr) -> c_long {
    text.as_ptr() as c_long
}

/// Makes a system call.
fn call(number: c_long, args: [c_long; 6]) -> Raw<c_long> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: every caller in this file passes integers, or pointers to memory that outlives the call.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 {
        // SAFETY: the pointer is this thread's error number; a child that shares memory has its parent suspended.
        return Err(Errno(unsafe { *libc::__errno_location() }));
    }
    Ok(answer)
}

fn call_fd(number: c_long, args: [c_long; 6]) -> Raw<RawFd> {
    call(number, args).and_then(|fd| RawFd::try_from(fd).map_err(|_| Errno(libc::EBADF)))
}

/// How a path is looked up below a directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Follow {
    /// Links are followed, all inside the directory.
    Inside,
    /// A link as the last component is the thing itself.
    NotLast,
}

/// Opens a path inside a root: links never lead outside, magic links are refused (edges.md 16).
pub(super) fn open_in_root(root: RawFd, path: &CStr, flags: i32, follow: Follow) -> Raw<RawFd> {
    // SAFETY: all bytes zero is a valid `open_how`.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    let nofollow = if matches!(follow, Follow::NotLast) { libc::O_NOFOLLOW } else { 0 };
    how.flags = u64::from((flags | libc::O_CLOEXEC | nofollow).cast_unsigned());
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    let size = size_of::<libc::open_how>() as c_long;
    loop {
        // A rename elsewhere during the walk answers EAGAIN, which says nothing about the path (openat2(2)).
        match call_fd(libc::SYS_openat2, [arg(root), text(path), (&raw const how) as c_long, size, 0, 0]) {
            Err(Errno(libc::EAGAIN)) => {}
            answer => return answer,
        }
    }
}

/// Opens a path.
pub(super) fn open(path: &CStr, flags: i32) -> Raw<RawFd> {
    open_at(libc::AT_FDCWD, path, flags, 0)
}

/// Opens a path below a directory.
pub(super) fn open_at(dir: RawFd, path: &CStr, flags: i32, mode: u32) -> Raw<RawFd> {
    call_fd(libc::SYS_openat, [arg(dir), text(path), c_long::from(flags | libc::O_CLOEXEC), c_long::from(mode), 0, 0])
}

/// Closes a descriptor.
pub(super) fn close(fd: RawFd) {
    let _ = call(libc::SYS_close, [arg(fd), 0, 0, 0, 0, 0]);
}

/// Makes the whole mount tree private, so that nothing spreads to the host.
pub(super) fn make_mounts_private() -> Raw {
    let flags = (libc::MS_REC | libc::MS_PRIVATE).cast_signed();
    call(libc::SYS_mount, [NONE, text(c"/"), NONE, flags, NONE, 0]).map(drop)
}

/// Starts a new file system of a type.
pub(super) fn fs_open(kind: &CStr) -> Raw<RawFd> {
    call_fd(libc::SYS_fsopen, [text(kind), 1, 0, 0, 0, 0])
}

/// Sets an option of a file system that is being made; without a value it is a flag.
pub(super) fn fs_set(fs: RawFd, key: &CStr, value: Option<&CStr>) -> Raw {
    let args = match value {
        Some(value) => [arg(fs), FSCONFIG_SET_STRING, text(key), text(value), 0, 0],
        None => [arg(fs), FSCONFIG_SET_FLAG, text(key), NONE, 0, 0],
    };
    call(libc::SYS_fsconfig, args).map(drop)
}

/// Makes the file system and a detached mount of it.
pub(super) fn fs_mount(fs: RawFd, attrs: u64) -> Raw<RawFd> {
    call(libc::SYS_fsconfig, [arg(fs), FSCONFIG_CMD_CREATE, NONE, NONE, 0, 0])?;
    call_fd(libc::SYS_fsmount, [arg(fs), 1, attrs.cast_signed(), 0, 0, 0])
}

/// Makes a detached copy of a mount tree from the file behind a descriptor on, with all that is mounted below it.
pub(super) fn clone_tree(fd: RawFd) -> Raw<RawFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
    call_fd(libc::SYS_open_tree, [arg(fd), text(c""), flags, 0, 0, 0])
}

/// As [`clone_tree`], of one mount alone.
pub(super) fn clone_mount(fd: RawFd) -> Raw<RawFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    call_fd(libc::SYS_open_tree, [arg(fd), text(c""), flags, 0, 0, 0])
}

/// Adds attributes to a detached mount and all below it.
pub(super) fn set_attrs(mount: RawFd, attrs: u64) -> Raw {
    let change = MountAttr { set: attrs, ..MountAttr::default() };
    let size = size_of::<MountAttr>() as c_long;
    let flags = AT_EMPTY_PATH | AT_RECURSIVE;
    call(libc::SYS_mount_setattr, [arg(mount), text(c""), flags, (&raw const change) as c_long, size, 0]).map(drop)
}

/// Puts a detached mount on the file or directory behind a descriptor.
pub(super) fn attach(mount: RawFd, target: RawFd) -> Raw {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    call(libc::SYS_move_mount, [arg(mount), text(c""), arg(target), text(c""), flags, 0]).map(drop)
}

/// Puts a detached mount on the process's root directory: part of its mount namespace, but no path leads to it.
pub(super) fn attach_on_root(mount: RawFd) -> Raw {
    let args = [arg(mount), text(c""), c_long::from(libc::AT_FDCWD), text(c"/"), MOVE_MOUNT_F_EMPTY_PATH, 0];
    call(libc::SYS_move_mount, args).map(drop)
}

/// Makes the directory behind a descriptor the root of the process, and lets go of everything else: of the old root,
/// and of the mounts that were `stacked` on it before. Whether that is so is looked at, not believed.
pub(super) fn pivot_to(root: RawFd, stacked: u32) -> Raw {
    change_dir(root)?;
    call(libc::SYS_pivot_root, [text(c"."), text(c"."), 0, 0, 0, 0])?;
    // The old root now lies on the new one. A path ends at the topmost mount, so they come off one by one.
    for _ in 0..=stacked {
        call(libc::SYS_umount2, [text(c"."), c_long::from(libc::MNT_DETACH), 0, 0, 0, 0])?;
    }
    call(libc::SYS_chdir, [text(c"/"), 0, 0, 0, 0, 0])?;
    let above = open(c"/..", libc::O_PATH)?;
    let answer = identity(above).and_then(|above| Ok(above == identity(root)?));
    close(above);
    if answer? { Ok(()) } else { Err(Errno(libc::EXDEV)) }
}

/// Changes the working directory.
pub(super) fn change_dir(dir: RawFd) -> Raw {
    call(libc::SYS_fchdir, [arg(dir), 0, 0, 0, 0, 0]).map(drop)
}

/// Makes a device node below a directory; the mode tells its type, too.
pub(super) fn make_node(dir: RawFd, name: &CStr, mode: u32, device: u64) -> Raw {
    let args = [arg(dir), text(name), c_long::from(mode), device.cast_signed(), 0, 0];
    call(libc::SYS_mknodat, args).map(drop)
}

/// Makes a directory below another.
pub(super) fn make_dir(dir: RawFd, name: &CStr, mode: u32) -> Raw {
    call(libc::SYS_mkdirat, [arg(dir), text(name), c_long::from(mode), 0, 0, 0]).map(drop)
}

/// Makes a symbolic link below a directory.
pub(super) fn make_link(target: &CStr, dir: RawFd, name: &CStr) -> Raw {
    call(libc::SYS_symlinkat, [text(target), arg(dir), text(name), 0, 0, 0]).map(drop)
}

/// Writes all bytes.
pub(super) fn write_all(fd: RawFd, mut bytes: &[u8]) -> Raw {
    while !bytes.is_empty() {
        let args = [arg(fd), bytes.as_ptr() as c_long, bytes.len().cast_signed() as c_long, 0, 0, 0];
        match call(libc::SYS_write, args) {
            Ok(count) => bytes = bytes.get(usize::try_from(count).unwrap_or(0)..).unwrap_or_default(),
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads once.
pub(super) fn read(fd: RawFd, bytes: &mut [u8]) -> Raw<usize> {
    let args = [arg(fd), bytes.as_mut_ptr() as c_long, bytes.len().cast_signed() as c_long, 0, 0, 0];
    loop {
        match call(libc::SYS_read, args) {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer.map(|count| usize::try_from(count).unwrap_or(0)),
        }
    }
}

/// Sets owner and permission bits of an open file.
pub(super) fn set_owner(fd: RawFd, uid: u32, gid: u32) -> Raw {
    call(libc::SYS_fchown, [arg(fd), c_long::from(uid), c_long::from(gid), 0, 0, 0]).map(drop)
}

/// Sets permission bits of an open file.
pub(super) fn set_mode(fd: RawFd, mode: u32) -> Raw {
    call(libc::SYS_fchmod, [arg(fd), c_long::from(mode), 0, 0, 0, 0]).map(drop)
}

/// The type bits of the file behind a descriptor.
pub(super) fn file_type(fd: RawFd) -> Raw<u32> {
    stat(fd).map(|stat| stat.st_mode & libc::S_IFMT)
}

/// The permission bits of the file behind a descriptor.
pub(super) fn mode(fd: RawFd) -> Raw<u32> {
    stat(fd).map(|stat| stat.st_mode & 0o7777)
}

/// What tells the file behind a descriptor from all others.
fn identity(fd: RawFd) -> Raw<(u64, u64)> {
    stat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

fn stat(fd: RawFd) -> Raw<libc::stat> {
    // SAFETY: all bytes zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel's answer goes to a `stat` of this frame; `fstat` takes no lock and allocates nothing.
    if unsafe { libc::fstat(fd, &raw mut stat) } != 0 {
        // SAFETY: as in `call`.
        return Err(Errno(unsafe { *libc::__errno_location() }));
    }
    Ok(stat)
}

/// Waits for some milliseconds.
pub(super) fn pause(milliseconds: i64) {
    let time = [0, milliseconds * 1_000_000];
    let _ = call(libc::SYS_clock_nanosleep, [0, 0, time.as_ptr() as c_long, 0, 0, 0]);
}

/// Duplicates a descriptor onto a number, open across `execve`.
pub(super) fn dup_onto(fd: RawFd, number: RawFd) -> Raw {
    if fd == number {
        return call(libc::SYS_fcntl, [arg(fd), c_long::from(libc::F_SETFD), 0, 0, 0, 0]).map(drop);
    }
    call(libc::SYS_dup3, [arg(fd), arg(number), 0, 0, 0, 0]).map(drop)
}

/// Sets the host name of the process's UTS namespace.
pub(super) fn set_host_name(name: &[u8]) -> Raw {
    let args = [name.as_ptr() as c_long, name.len().cast_signed() as c_long, 0, 0, 0, 0];
    call(libc::SYS_sethostname, args).map(drop)
}

/// Enters the namespace behind a descriptor.
pub(super) fn enter_network(fd: RawFd) -> Raw {
    call(libc::SYS_setns, [arg(fd), c_long::from(libc::CLONE_NEWNET), 0, 0, 0, 0]).map(drop)
}

/// Gives the calling thread a mount or network namespace of its own.
pub(super) fn unshare(flags: i32) -> Raw {
    call(libc::SYS_unshare, [c_long::from(flags), 0, 0, 0, 0, 0]).map(drop)
}

/// Brings the loopback device of the process's network namespace up.
pub(super) fn loopback_up() -> Raw {
    let kind = c_long::from(libc::SOCK_DGRAM | libc::SOCK_CLOEXEC);
    let socket = call_fd(libc::SYS_socket, [c_long::from(libc::AF_INET), kind, 0, 0, 0, 0])?;
    // SAFETY: all bytes zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(1);
    let answer =
        call(libc::SYS_ioctl, [arg(socket), libc::SIOCSIFFLAGS as c_long, (&raw const request) as c_long, 0, 0, 0]);
    close(socket);
    answer.map(drop)
}

/// Sets a resource limit of the process.
pub(super) fn set_limit(resource: u32, soft: u64, hard: u64) -> Raw {
    let limit = [soft, hard];
    call(libc::SYS_prlimit64, [0, c_long::from(resource), limit.as_ptr() as c_long, 0, 0, 0]).map(drop)
}

/// The soft and hard value of a resource limit of this process.
pub(super) fn limit(resource: u32) -> Raw<(u64, u64)> {
    let mut limit = [0u64; 2];
    call(libc::SYS_prlimit64, [0, c_long::from(resource), 0, limit.as_mut_ptr() as c_long, 0, 0])?;
    Ok((limit[0], limit[1]))
}

/// `prctl` with two arguments.
pub(super) fn process_control(option: i32, first: c_long, second: c_long) -> Raw {
    call(libc::SYS_prctl, [c_long::from(option), first, second, 0, 0, 0]).map(drop)
}

/// Installs a seccomp filter for the calling thread.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> Raw {
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno(libc::EINVAL)) };
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let mode = c_long::from(libc::SECCOMP_SET_MODE_FILTER);
    call(libc::SYS_seccomp, [mode, 0, (&raw const filter) as c_long, 0, 0, 0]).map(drop)
}

/// `_LINUX_CAPABILITY_VERSION_3` (linux/capability.h).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// The three sets of capabilities of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
}

fn low(set: u64) -> u32 {
    u32::try_from(set & 0xffff_ffff).unwrap_or(u32::MAX)
}

/// Sets the capabilities of the calling thread.
pub(super) fn set_capabilities(caps: Capabilities) -> Raw {
    let header = [CAPABILITY_VERSION, 0];
    let Capabilities { effective, permitted, inheritable } = caps;
    let data = [
        low(effective),
        low(permitted),
        low(inheritable),
        low(effective >> 32),
        low(permitted >> 32),
        low(inheritable >> 32),
    ];
    call(libc::SYS_capset, [header.as_ptr() as c_long, data.as_ptr() as c_long, 0, 0, 0, 0]).map(drop)
}

/// The capabilities of the calling thread.
pub(super) fn capabilities() -> Raw<Capabilities> {
    let header = [CAPABILITY_VERSION, 0];
    let mut data = [0u32; 6];
    call(libc::SYS_capget, [header.as_ptr() as c_long, data.as_mut_ptr() as c_long, 0, 0, 0, 0])?;
    let [e, p, i, e2, p2, i2] = data.map(u64::from);
    Ok(Capabilities { effective: e | e2 << 32, permitted: p | p2 << 32, inheritable: i | i2 << 32 })
}

/// Sets the supplementary groups.
pub(super) fn set_groups(groups: &[u32]) -> Raw {
    let args = [groups.len().cast_signed() as c_long, groups.as_ptr() as c_long, 0, 0, 0, 0];
    call(libc::SYS_setgroups, args).map(drop)
}

/// Sets real, effective and saved group.
pub(super) fn set_gid(gid: u32) -> Raw {
    let gid = c_long::from(gid);
    call(libc::SYS_setresgid, [gid, gid, gid, 0, 0, 0]).map(drop)
}

/// Sets real, effective and saved user.
pub(super) fn set_uid(uid: u32) -> Raw {
    let uid = c_long::from(uid);
    call(libc::SYS_setresuid, [uid, uid, uid, 0, 0, 0]).map(drop)
}

/// Makes the process a session of its own, out of reach of the terminal's keys.
pub(super) fn new_session() -> Raw {
    call(libc::SYS_setsid, [0; 6]).map(drop)
}

/// Sets the file mode creation mask.
pub(super) fn set_umask(mask: u32) {
    let _ = call(libc::SYS_umask, [c_long::from(mask), 0, 0, 0, 0, 0]);
}

/// Marks every descriptor from 3 on to be closed by `execve`.
pub(super) fn close_rest_on_exec() -> Raw {
    let flags = c_long::from(libc::CLOSE_RANGE_CLOEXEC);
    call(libc::SYS_close_range, [3, c_long::from(u32::MAX), flags, 0, 0, 0]).map(drop)
}

/// The kernel's `struct sigaction` on 64-bit machines: handler, flags, restorer, mask (asm-generic/signal.h has no
/// restorer on aarch64, where the last word is then not read).
const DEFAULT_ACTION: [u64; 4] = [0; 4];

/// The number of this process, as the /proc that is mounted here shows it.
pub(super) fn own_number() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

/// What an open `/proc/PID/stat` says now.
pub(super) fn read_stat(stat: RawFd, bytes: &mut [u8]) -> Raw<usize> {
    call(libc::SYS_lseek, [arg(stat), 0, 0, 0, 0, 0])?;
    read(stat, bytes)
}

/// The number of the parent in the text of a `/proc/PID/stat`: the second field behind the name in parentheses
/// (proc_pid_stat(5)).
pub(super) fn parent_in(stat: &[u8]) -> u32 {
    let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    // A parenthesis, a blank, the state, a blank.
    let digits = stat.get(end + 4..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u32, digit| number.wrapping_mul(10).wrapping_add(u32::from(*digit - b'0')))
}

/// Gives every signal its default action and unblocks all.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP are refused, which is right.
        let _ = call(libc::SYS_rt_sigaction, [signal, DEFAULT_ACTION.as_ptr() as c_long, 0, 8, 0, 0]);
    }
    set_signal_mask(0);
}

/// Sets the signals that are blocked, as bits.
pub(super) fn set_signal_mask(blocked: u64) {
    let how = c_long::from(libc::SIG_SETMASK);
    let _ = call(libc::SYS_rt_sigprocmask, [how, (&raw const blocked) as c_long, 0, 8, 0, 0]);
}

/// Replaces the program. Comes back only with an error.
pub(super) fn exec(path: &CStr, argv: &Pointers, env: &Pointers) -> Errno {
    let args = [text(path), argv.as_ptr() as c_long, env.as_ptr() as c_long, 0, 0, 0];
    call(libc::SYS_execve, args).err().unwrap_or(Errno(libc::EINVAL))
}

/// Ends the process.
pub(super) fn exit(code: i32) -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, [c_long::from(code), 0, 0, 0, 0, 0]);
    }
}

/// Sends a signal to the process behind a descriptor.
pub(super) fn signal(pidfd: RawFd, signal: i32) -> Raw {
    call(libc::SYS_pidfd_send_signal, [arg(pidfd), c_long::from(signal), 0, 0, 0, 0]).map(drop)
}

/// How a process ended: `si_code` and `si_status`.
pub(super) fn wait(pidfd: RawFd) -> Raw<(i32, i32)> {
    // SAFETY: all bytes zero is a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = c_long::from(libc::WEXITED | libc::__WALL);
    loop {
        let args = [c_long::from(libc::P_PIDFD), arg(pidfd), (&raw mut info) as c_long, flags, 0, 0];
        match call(libc::SYS_waitid, args) {
            Err(Errno(libc::EINTR)) => {}
            // SAFETY: a successful `waitid` fills the fields of a child's end.
            answer => return answer.map(|_| (info.si_code, unsafe { info.si_status() })),
        }
    }
}

/// Takes a descriptor over.
pub(super) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor that a call of this file just made and nobody else holds.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
