//! The seccomp filter of the sandbox: which system calls a step may make (linux.md §1.1).
//!
//! The decisions are data (`seccomp.json` beside this folder): the semantics of the field's default profile for the
//! sandbox's fourteen capabilities. One filter covers every ABI of the host, so that 32-bit programs work and cannot
//! be used to slip past it.

#![cfg(target_os = "linux")]

mod emit;
#[cfg(test)]
mod interpret;

use std::collections::BTreeMap;
use std::sync::Arc;

use emit::{Action, Assembler, Check};
use serde::Deserialize;

use crate::{Error, Result};

/// The table of decisions.
const TABLE: &str = include_str!("../seccomp.json");

#[derive(Deserialize)]
struct Table {
    syscalls: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[cfg_attr(not(test), expect(dead_code, reason = "the name is for readers, and for tests"))]
    name: String,
    decision: Decision,
    x86_64: Option<u32>,
    i386: Option<u32>,
    x32: Option<u32>,
    aarch64: Option<u32>,
    arm: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Deny,
    Enosys,
    Clone,
    Socket,
    Personality,
}

/// One system call interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abi {
    X86_64,
    I386,
    X32,
    Aarch64,
    Arm,
}

/// The bit that marks system calls of the x32 ABI (arch/x86/include/uapi/asm/unistd.h).
const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// `AUDIT_ARCH_*` (linux/audit.h).
    fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    fn number(self, row: &Row) -> Option<u32> {
        match self {
            Self::X86_64 => row.x86_64,
            Self::I386 => row.i386,
            Self::X32 => row.x32.map(|number| number | X32_BIT),
            Self::Aarch64 => row.aarch64,
            Self::Arm => row.arm,
        }
    }
}

/// The machines whose kernels strake knows a filter for.
const MACHINES: [(&str, &[Abi]); 2] =
    [("x86_64", &[Abi::X86_64, Abi::I386, Abi::X32]), ("aarch64", &[Abi::Aarch64, Abi::Arm])];

/// The namespace flags of `clone` (linux/sched.h): NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;
/// `AF_ALG` and `AF_VSOCK` (linux/socket.h): the kernel's crypto, and the way to the machine below.
const DENIED_SOCKETS: [u32; 2] = [38, 40];
/// PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the current one (linux/personality.h).
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Makes the filter of this machine.
pub(super) fn filter() -> Result<Arc<[libc::sock_filter]>> {
    let machine = std::env::consts::ARCH;
    let Some((_, abis)) = MACHINES.iter().find(|(name, _)| *name == machine) else {
        return Err(Error::environment(format!("strake has no seccomp filter for {machine}"))
            .with_help("build on amd64 or arm64, or run the step with `--security=insecure`"));
    };
    compile(abis).map(Into::into)
}

fn compile(abis: &[Abi]) -> Result<Vec<libc::sock_filter>> {
    let table: Table = serde_json::from_str(TABLE)
        .map_err(|error| Error::internal(format!("the table of system calls is not valid: {error}")))?;
    let mut sections: Vec<(u32, BTreeMap<u32, Action>)> = Vec::new();
    for &abi in abis {
        let calls = table.syscalls.iter().filter_map(|row| Some((abi.number(row)?, action(row.decision))));
        match sections.iter_mut().find(|(audit, _)| *audit == abi.audit()) {
            Some((_, known)) => known.extend(calls),
            None => sections.push((abi.audit(), calls.collect())),
        }
    }
    Assembler::filter(&sections)
        .ok_or_else(|| Error::internal("the seccomp filter is longer than the kernel takes (4096 instructions)"))
}

fn action(decision: Decision) -> Action {
    match decision {
        Decision::Allow => Action::Allow,
        Decision::Deny => Action::Errno(libc::EPERM),
        Decision::Enosys => Action::Errno(libc::ENOSYS),
        Decision::Clone => Action::Check(Check::NoneOf { mask: CLONE_NAMESPACES }),
        Decision::Socket => Action::Check(Check::NotIn(&DENIED_SOCKETS)),
        Decision::Personality => Action::Check(Check::In(&PERSONALITIES)),
    }
}

#[cfg(test)]
mod tests {
    use super::interpret::{Call, decide};
    use super::*;

    const ERRNO: u32 = 0x0005_0000;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = ERRNO | 1;
    const ENOSYS: u32 = ERRNO | 38;

    fn table() -> Vec<Row> {
        serde_json::from_str::<Table>(TABLE).expect("table").syscalls
    }

    #[test]
    fn every_call_of_every_abi_is_decided_as_the_table_says() {
        for (_, abis) in MACHINES {
            let program = compile(abis).expect("filter");
            for &abi in abis {
                for row in table() {
                    let Some(number) = abi.number(&row) else { continue };
                    let call = Call { audit: abi.audit(), number, args: [0; 6] };
                    let expected = match row.decision {
                        Decision::Deny => EPERM,
                        Decision::Enosys => ENOSYS,
                        _ => ALLOW,
                    };
                    assert_eq!(decide(&program, &call), expected, "{} on {abi:?}", row.name);
                }
            }
        }
    }

    #[test]
    fn numbers_nobody_knows_are_not_implemented() {
        for (_, abis) in MACHINES {
            let program = compile(abis).expect("filter");
            for &abi in abis {
                let known: Vec<u32> = table().iter().filter_map(|row| abi.number(row)).collect();
                let bit = if abi == Abi::X32 { X32_BIT } else { 0 };
                for number in (0..2000).map(|number| number | bit).filter(|number| !known.contains(number)) {
                    let call = Call { audit: abi.audit(), number, args: [0; 6] };
                    assert_eq!(decide(&program, &call), ENOSYS, "{number} on {abi:?}");
                }
            }
        }
        let program = compile(&[Abi::X86_64]).expect("filter");
        assert_eq!(decide(&program, &Call { audit: 0x1234, number: 0, args: [0; 6] }), ENOSYS);
        assert_eq!(decide(&program, &Call { audit: 0xc000_003e, number: u32::MAX, args: [0; 6] }), ENOSYS);
    }

    #[test]
    fn arguments_are_looked_at() {
        for (_, abis) in MACHINES {
            let program = compile(abis).expect("filter");
            for &abi in abis {
                let ask = |name: &str, argument: u64| {
                    let number = table().iter().find(|row| row.name == name).and_then(|row| abi.number(row));
                    let args = [argument, 0, 0, 0, 0, 0];
                    number.map(|number| decide(&program, &Call { audit: abi.audit(), number, args }))
                };
                assert_eq!(ask("clone", 0x0120_0011), Some(ALLOW));
                for flag in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
                    assert_eq!(ask("clone", flag | 17), Some(EPERM), "{flag:x}");
                }
                if ask("socket", 2).is_some() {
                    assert_eq!(ask("socket", 2), Some(ALLOW));
                    assert_eq!(ask("socket", 38), Some(EPERM));
                    assert_eq!(ask("socket", 40), Some(EPERM));
                    // The kernel looks at the low half only, so must the filter.
                    assert_eq!(ask("socket", 40 | 1 << 32), Some(EPERM));
                }
                for personality in PERSONALITIES {
                    assert_eq!(ask("personality", personality.into()), Some(ALLOW));
                }
                assert_eq!(ask("personality", 0x40000), Some(EPERM));
            }
        }
    }

    #[test]
    fn what_must_never_be_allowed_is_denied() {
        let never = "mount umount2 move_mount open_tree fsopen pivot_root unshare setns bpf perf_event_open keyctl \
                     add_key request_key kexec_load init_module finit_module delete_module open_by_handle_at \
                     swapon reboot settimeofday iopl ioperm userfaultfd io_uring_setup syslog acct";
        for name in never.split_whitespace() {
            let rows = table();
            let row = rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(row.decision, Decision::Deny, "{name}");
        }
        let rows = table();
        assert_eq!(rows.iter().find(|row| row.name == "clone3").map(|row| row.decision), Some(Decision::Enosys));
    }

    #[test]
    fn the_filter_stays_small() {
        for (_, abis) in MACHINES {
            let length = compile(abis).expect("filter").len();
            assert!(length < 1500, "{length} instructions");
        }
    }
}
