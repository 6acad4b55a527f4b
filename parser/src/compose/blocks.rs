//! Blocks of IF, ELSE and ENDIF: which lines count, and where a block may stand.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// What a branch began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    Empty,
    Lines,
    Stages,
}

/// A block that is not closed yet.
#[derive(Debug)]
struct Block {
    opened: Span,
    /// Whether the lines around it count.
    is_outer_active: bool,
    is_active: bool,
    /// Whether one of its branches was taken.
    is_taken: bool,
    has_else: bool,
    branch: Branch,
    holds_lines: bool,
    holds_stages: bool,
}

/// The blocks around a line.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    open: Vec<Block>,
    /// A block of stages that was closed: a FROM must follow.
    closed_stages: Option<Span>,
}

impl Blocks {
    /// Says whether lines count here.
    pub(super) fn is_active(&self) -> bool {
        self.open.last().is_none_or(|block| block.is_active)
    }

    /// Gives how many are open, for [`Self::close_down_to`].
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Opens a block; `is_true` is asked only where it matters.
    pub(super) fn open(&mut self, span: Span, is_true: impl FnOnce() -> bool) {
        let is_outer_active = self.is_active();
        let is_active = is_outer_active && is_true();
        self.open.push(Block {
            opened: span,
            is_outer_active,
            is_active,
            is_taken: is_active,
            has_else: false,
            branch: Branch::Empty,
            holds_lines: false,
            holds_stages: false,
        });
    }

    /// Goes on to the next branch; blocks below `floor` belong to another file.
    pub(super) fn switch(
        &mut self,
        floor: usize,
        span: Span,
        has_condition: bool,
        is_true: impl FnOnce() -> bool,
    ) -> Result<(), Diagnostic> {
        let Some(block) = self.open.get_mut(floor..).and_then(<[Block]>::last_mut) else {
            return Err(lonely("ELSE", span));
        };
        if block.has_else {
            let message = "there is an ELSE above already";
            let made = Diagnostic::error(codes::BLOCK, message, span).with_label(block.opened, "the block begins here");
            return Err(made.with_help("ELSE is the last branch of a block: put ELSE IF lines above it"));
        }
        block.has_else = !has_condition;
        block.branch = Branch::Empty;
        block.is_active = block.is_outer_active && !block.is_taken && is_true();
        block.is_taken |= block.is_active;
        self.closed_stages = None;
        Ok(())
    }

    /// Closes the last block.
    pub(super) fn close(&mut self, floor: usize, span: Span) -> Result<(), Diagnostic> {
        if self.open.len() <= floor {
            return Err(lonely("ENDIF", span));
        }
        let block = self.open.pop();
        self.closed_stages = block.filter(|block| block.holds_stages).map(|_| span);
        Ok(())
    }

    /// Closes what a file left open.
    pub(super) fn close_down_to(&mut self, floor: usize) -> Vec<Diagnostic> {
        let left = self.open.split_off(floor.min(self.open.len()));
        let report = |block: Block| {
            Diagnostic::error(codes::BLOCK, "this block is not closed", block.opened)
                .with_help("put ENDIF after its last line, in the same file")
        };
        left.into_iter().map(report).collect()
    }

    /// Takes in a FROM.
    pub(super) fn stage(&mut self, span: Span) -> Option<Diagnostic> {
        self.closed_stages = None;
        let mut cut = None;
        for block in &mut self.open {
            if block.branch == Branch::Empty {
                block.branch = Branch::Stages;
            }
            if block.branch == Branch::Lines || block.holds_lines {
                cut.get_or_insert(block.opened);
            }
            block.holds_stages = true;
        }
        let made = Diagnostic::error(codes::BLOCK_STAGE, "a stage begins in the middle of a block", span);
        let help = "begin each branch of the block with FROM, or close the block before this line";
        Some(made.with_label(cut?, "the block begins here").with_help(help))
    }

    /// Takes in another line.
    pub(super) fn line(&mut self, span: Span) -> Option<Diagnostic> {
        let mut cut = None;
        for block in &mut self.open {
            if block.branch == Branch::Empty {
                block.branch = Branch::Lines;
                block.holds_lines = true;
                if block.holds_stages {
                    cut.get_or_insert(block.opened);
                }
            }
        }
        let help = "begin this branch, too, with FROM, or put the line above the block";
        if let Some(opened) = cut {
            let message = "this branch begins with a line of a stage, and another one with FROM";
            let made = Diagnostic::error(codes::BLOCK_STAGE, message, span);
            return Some(made.with_label(opened, "the block begins here").with_help(help));
        }
        let closed = self.closed_stages.take()?;
        let message = "it hangs on a condition which stage this line belongs to";
        let made =
            Diagnostic::error(codes::BLOCK_STAGE, message, span).with_label(closed, "a block of stages ends here");
        Some(made.with_help("put a FROM after ENDIF, or move the line into the branches"))
    }
}

fn lonely(keyword: &str, span: Span) -> Diagnostic {
    Diagnostic::error(codes::BLOCK, format!("{keyword} without IF"), span)
        .with_help("IF stands above ELSE and ENDIF, in the same file")
}
