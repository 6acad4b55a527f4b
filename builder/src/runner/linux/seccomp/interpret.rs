//! An interpreter of the BPF instructions the assembler makes, for its tests.

#![cfg(target_os = "linux")]

use libc::sock_filter;

/// `struct seccomp_data`, without the instruction pointer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) audit: u32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn load(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            _ => {
                let index = (offset - 16) as usize;
                let shift = if index % 8 == 4 { 32 } else { 0 };
                u32::try_from(self.args[index / 8] >> shift & 0xffff_ffff).expect("half")
            }
        }
    }
}

/// What the kernel would answer.
pub(super) fn decide(program: &[sock_filter], call: &Call) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = call.load(k),
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x06 => return k,
            _ => panic!("instruction {code:#x}"),
        }
    }
}
