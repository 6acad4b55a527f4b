//! Makes a process that shares its parent's memory until it executes a program.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "clone3 on a stack of its own, which no safe crate offers")]

use std::ffi::{CString, c_long, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicI32;

use super::sys::{Errno, Raw, own};

/// A null-terminated array of strings, as `execve` takes it.
pub(super) struct Pointers {
    strings: Vec<CString>,
    array: Box<[*const libc::c_char]>,
}

// SAFETY: the pointers lead into `strings`, whose bytes stay where they are and are only read.
unsafe impl Send for Pointers {}
// SAFETY: as above.
unsafe impl Sync for Pointers {}

impl Pointers {
    /// Where the array is.
    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.array.as_ptr()
    }

    /// Points at strings.
    pub(super) fn new(strings: Vec<CString>) -> Self {
        let array = strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Self { strings, array }
    }
}

impl std::fmt::Debug for Pointers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} strings", self.strings.len())
    }
}

/// The stack of a child that shares its parent's memory.
#[derive(Debug)]
pub(super) struct Stack {
    base: *mut c_void,
    size: usize,
}

impl Stack {
    /// The child calls a handful of small functions; one page more at the low end is a guard.
    const SIZE: usize = 256 * 1024;

    /// Makes one.
    pub(super) fn new() -> Raw<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping touches no memory of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), Self::SIZE, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno(libc::ENOMEM));
        }
        // SAFETY: the page lies inside the mapping made above.
        unsafe { libc::mprotect(base, 4096, libc::PROT_NONE) };
        Ok(Self { base, size: Self::SIZE })
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no child runs on it: the spawner drops it after its last clone.
        unsafe { libc::munmap(self.base, self.size) };
    }
}

/// How a process is made.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    /// The namespaces it gets, as flags of `clone3`.
    pub(super) namespaces: u64,
    /// The cgroup it is made in.
    pub(super) cgroup: Option<&'a OwnedFd>,
    /// Where it runs until it executes a program.
    pub(super) stack: &'a Stack,
    /// Where the kernel writes its number before it starts, for other threads to read.
    pub(super) pid: &'a AtomicI32,
}

/// Makes a process that shares this one's memory and runs `entry` on `stack` while the calling thread is suspended,
/// until it executes a program or ends (clone(2): `CLONE_VM | CLONE_VFORK`).
///
/// The caller must see to it that `entry` only makes raw system calls on memory that `program` holds.
pub(super) fn spawn<T: Sync>(birth: &Birth<'_>, entry: extern "C" fn(&T) -> !, program: &T) -> Raw<OwnedFd> {
    let Birth { namespaces, cgroup, stack, pid } = birth;
    let mut pidfd: i32 = -1;
    // SAFETY: all bytes zero is a valid `clone_args`.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces
        | u64::from(
            (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_PARENT_SETTID).cast_unsigned(),
        )
        | if cgroup.is_some() { 1 << 33 } else { 0 };
    args.pidfd = (&raw mut pidfd) as u64;
    args.parent_tid = pid.as_ptr() as u64;
    args.stack = stack.base as u64;
    args.stack_size = stack.size as u64;
    args.cgroup = cgroup.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned()));
    // No exit signal: nobody else's `waitpid(-1)` or SIGCHLD handler meets the step's process.
    args.exit_signal = 0;
    // SAFETY: the stack is a mapping of its own that nobody else runs on; `entry` never returns; the calling thread is
    // suspended while the child uses `program`, which outlives the call.
    let answer = unsafe { clone3(&args, entry as *const c_void, std::ptr::from_ref(program).cast()) };
    if answer < 0 {
        return Err(Errno(i32::try_from(-answer).unwrap_or(libc::EINVAL)));
    }
    Ok(own(pidfd))
}

/// # Safety
/// `entry` is a function with one pointer argument that never returns, `args` names a stack nobody uses.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &libc::clone_args, entry: *const c_void, program: *const c_void) -> c_long {
    let answer: c_long;
    // SAFETY: the child starts on its own stack, 16-byte aligned as the calling convention asks, and never comes back
    // here; the parent's registers are all accounted for.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") args,
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") entry,
            in("r13") program,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer
}

/// # Safety
/// `entry` is a function with one pointer argument that never returns, `args` names a stack nobody uses.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &libc::clone_args, entry: *const c_void, program: *const c_void) -> c_long {
    let answer: c_long;
    // SAFETY: as on x86_64.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk 1",
            "2:",
            inlateout("x0") args => answer,
            in("x1") size_of::<libc::clone_args>(),
            in("x8") libc::SYS_clone3,
            in("x20") entry,
            in("x21") program,
        );
    }
    answer
}

/// # Safety
/// None is needed: no child is made.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &libc::clone_args, _: *const c_void, _: *const c_void) -> c_long {
    -c_long::from(libc::ENOSYS)
}
