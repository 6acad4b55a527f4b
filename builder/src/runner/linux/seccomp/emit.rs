//! An assembler for classic BPF, as far as a seccomp filter needs it (linux/filter.h, linux/seccomp.h).

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;

use libc::sock_filter;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It answers an error.
    Errno(i32),
    /// Its first argument decides; what fails the check answers EPERM.
    Check(Check),
}

/// A claim about the low half of a call's first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// No bit of the mask is set.
    NoneOf {
        /// The mask.
        mask: u32,
    },
    /// It is one of these.
    In(&'static [u32]),
    /// It is none of these.
    NotIn(&'static [u32]),
}

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_NOT_LESS: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The low half of the first argument: both machines strake has tables for are little-endian.
const FIRST_ARGUMENT: u32 = 16;

const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;

/// The kernel's limit (`BPF_MAXINSNS`).
const MAX: usize = 4096;

/// Instructions so far.
#[derive(Debug, Default)]
pub(super) struct Assembler(Vec<sock_filter>);

impl Assembler {
    /// Makes the filter for pairs of an `AUDIT_ARCH` and what becomes of its calls by number. What is in neither
    /// answers ENOSYS, as a kernel does that does not know it. `None`: it is longer than the kernel takes.
    pub(super) fn filter(sections: &[(u32, BTreeMap<u32, Action>)]) -> Option<Vec<sock_filter>> {
        let mut code = Self::default();
        code.push(LOAD, ARCH, 0, 0);
        for (audit, calls) in sections {
            code.push(JUMP_EQUAL, *audit, 1, 0);
            let skip = code.placeholder();
            code.push(LOAD, NUMBER, 0, 0);
            code.search(&ranges(calls));
            code.land(skip)?;
        }
        code.finish(Action::Errno(libc::ENOSYS));
        (code.0.len() <= MAX).then_some(code.0)
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.0.push(sock_filter { code, jt, jf, k });
    }

    /// Leaves room for a jump to a place that is not known yet.
    fn placeholder(&mut self) -> usize {
        self.push(JUMP, 0, 0, 0);
        self.0.len() - 1
    }

    /// Lets an earlier placeholder jump here.
    fn land(&mut self, placeholder: usize) -> Option<()> {
        let distance = u32::try_from(self.0.len() - placeholder - 1).ok()?;
        self.0.get_mut(placeholder)?.k = distance;
        Some(())
    }

    /// Binary search over ranges in ascending order, each from its start to the next one's.
    fn search(&mut self, ranges: &[(u32, Action)]) {
        match ranges {
            [] => self.finish(Action::Errno(libc::ENOSYS)),
            [(_, action)] => self.finish(*action),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let pivot = high.first().map_or(0, |(start, _)| *start);
                self.push(JUMP_NOT_LESS, pivot, 0, 1);
                let jump = self.placeholder();
                self.search(low);
                let _ = self.land(jump);
                self.search(high);
            }
        }
    }

    fn finish(&mut self, action: Action) {
        match action {
            Action::Allow => self.push(RETURN, RETURN_ALLOW, 0, 0),
            Action::Errno(errno) => self.push(RETURN, RETURN_ERRNO | errno.cast_unsigned(), 0, 0),
            Action::Check(check) => self.check(check),
        }
    }

    fn check(&mut self, check: Check) {
        let denied = RETURN_ERRNO | libc::EPERM.cast_unsigned();
        self.push(LOAD, FIRST_ARGUMENT, 0, 0);
        let (values, hit, miss) = match check {
            Check::NoneOf { mask } => {
                self.push(JUMP_ANY_BIT, mask, 0, 1);
                self.push(RETURN, denied, 0, 0);
                self.push(RETURN, RETURN_ALLOW, 0, 0);
                return;
            }
            Check::In(values) => (values, RETURN_ALLOW, denied),
            Check::NotIn(values) => (values, denied, RETURN_ALLOW),
        };
        for value in values {
            self.push(JUMP_EQUAL, *value, 0, 1);
            self.push(RETURN, hit, 0, 0);
        }
        self.push(RETURN, miss, 0, 0);
    }
}

/// Collapses numbers into ranges with one action; gaps answer ENOSYS.
fn ranges(calls: &BTreeMap<u32, Action>) -> Vec<(u32, Action)> {
    let gap = Action::Errno(libc::ENOSYS);
    let mut ranges = vec![(0, gap)];
    let mut next = 0;
    for (&number, &action) in calls {
        if number > next {
            ranges.push((next, gap));
        }
        ranges.push((number, action));
        next = number.saturating_add(1);
    }
    ranges.push((next, gap));
    // The last one of equal starts counts, and of equal neighbours the first.
    let mut kept: Vec<(u32, Action)> = Vec::new();
    for (start, action) in ranges {
        if kept.last().is_some_and(|(last, _)| *last == start) {
            kept.pop();
        }
        if kept.last().is_none_or(|(_, last)| *last != action) {
            kept.push((start, action));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_collapse_and_gaps_are_kept() {
        let calls = [(0, Action::Allow), (1, Action::Allow), (2, Action::Errno(1)), (5, Action::Allow)].into();
        let gap = Action::Errno(38);
        let expected = [(0, Action::Allow), (2, Action::Errno(1)), (3, gap), (5, Action::Allow), (6, gap)];
        assert_eq!(ranges(&calls), expected);
    }
}
