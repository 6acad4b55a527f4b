//! COPY and ADD: everything expanded, nothing looked at yet (dockerfile.md §13.5).

use std::fmt::Write as _;

use strake_layers::Digest;
use strake_parser::chmod::ModeChange;
use strake_parser::git_ref::GitRef;
use strake_parser::{Add, Copy, CopySource, Expander, Heredoc, Instruction, Rule, Word};

use super::evaluate::Evaluator;
use super::graph::{AddOptions, CopyFrom, CopyOp, Op, Source, SourceKind};
use super::{codes, paths, title};

/// How the address of a repository is written (dockerfile.md §11.3).
pub(crate) const GIT_ADDRESS: &str = "an address is REPOSITORY.git, then #REF:FOLDER or ?ref=, branch=, tag=, subdir=, \
                                      checksum=, keep-git-dir=, submodules=, each at most once";

impl Evaluator<'_, '_> {
    /// COPY, or ADD where `add` is given.
    pub(super) fn copy(
        &mut self,
        instruction: &Instruction,
        keyword: &'static str,
        copy: &Copy,
        add: Option<&Add>,
    ) -> Option<()> {
        let from = match &copy.from {
            Some(word) => self.bind(word),
            None => Some(CopyFrom::Context),
        };
        let from_context = copy.from.is_none();
        let (op, texts) = self.expanding(|this, expander| {
            let mut texts = Vec::with_capacity(copy.sources.len() + 1);
            let mut sources = Vec::with_capacity(copy.sources.len());
            let mut is_good = true;
            // As with the reference, the files of here-documents come last.
            let is_file = |source: &&CopySource| matches!(source, CopySource::Word(_));
            let (files, heredocs): (Vec<_>, Vec<_>) = copy.sources.iter().partition(is_file);
            for source in files.into_iter().chain(heredocs) {
                match this.source(expander, source, add.is_some()) {
                    Some((kind, text, span)) => {
                        if let (true, SourceKind::Path(path)) = (from_context, &kind) {
                            this.lint_ignored(keyword, path, span);
                        }
                        texts.push(text);
                        sources.push(Source { kind, span: this.at(span) });
                    }
                    None => is_good = false,
                }
            }
            let dest = this.destination(expander, &copy.dest, &mut texts);
            let chown = this.flag(expander, copy.chown.as_ref());
            let chmod = this.flag(expander, copy.chmod.as_ref());
            let exclude = copy.exclude.iter().map(|word| this.word(expander, word)).collect::<Option<Vec<_>>>();
            let checksum = this.flag(expander, add.and_then(|add| add.checksum.as_ref()));
            let is_good = is_good
                && this.check_checksum(add, checksum.as_ref().and_then(Option::as_deref), &sources)
                && this.check_git_dir(add, &sources);
            let (Some(dest), Some(chown), Some(chmod), Some(exclude), Some(checksum), true) =
                (dest, chown, chmod, exclude, checksum, is_good)
            else {
                return None;
            };
            let mode = this.mode(chmod.as_deref(), copy.chmod.as_ref())?;
            // Why a source cannot be bound has been told.
            let from = from?;
            let text = history_text(keyword, copy, chown.as_deref(), chmod.as_deref(), &texts);
            // With a mode the reference does not link: the layer would give that mode to directories that are there.
            let link = copy.link && mode.is_none();
            let op = CopyOp {
                keyword,
                from,
                sources,
                dest,
                dest_span: this.at(copy.dest.span),
                owner_span: this.at(copy.chown.as_ref().unwrap_or(&copy.dest).span),
                workdir: this.state.config.config.working_dir.clone(),
                chown,
                chmod: mode,
                link,
                parents: copy.parents,
                exclude,
                add: add.map(|add| AddOptions { unpack: add.unpack, checksum, keep_git_dir: add.keep_git_dir }),
                platform: this.state.platform.clone(),
            };
            Some((op, text))
        })?;
        let title = title::of(instruction.original(&self.table.dockerfile.source), &self.state.env, None);
        self.push_step(Op::Copy(Box::new(op)), title, texts);
        Some(())
    }

    /// Expands the value of a flag; one that comes to nothing is no flag, as in the reference.
    fn flag(&mut self, expander: &Expander<'_>, word: Option<&Word>) -> Option<Option<String>> {
        match word {
            None => Some(None),
            Some(word) => self.word(expander, word).map(|text| (!text.is_empty()).then_some(text)),
        }
    }

    fn mode(&mut self, text: Option<&str>, word: Option<&Word>) -> Option<Option<ModeChange>> {
        let Some(text) = text else { return Some(None) };
        match ModeChange::parse(text) {
            Ok(mode) => Some(Some(mode)),
            Err(problem) => {
                let span = word.map(|word| word.span).unwrap_or_default();
                let help = "write octal digits from 0 to 7, as in --chmod=0755, or changes, as in --chmod=u+rwX,go=rX";
                self.error_with_help(codes::MODE, problem.to_string(), span, help.to_owned());
                None
            }
        }
    }

    /// Gives what a source is, its text for the history, and where it is written.
    fn source(
        &mut self,
        expander: &Expander<'_>,
        source: &CopySource,
        is_add: bool,
    ) -> Option<(SourceKind, String, strake_parser::Span)> {
        let word = match source {
            CopySource::Heredoc(heredoc) => {
                let kind = self.inline(expander, heredoc)?;
                return Some((kind, format!("<<{}", heredoc.name), heredoc.word.span));
            }
            CopySource::Word(word) => word,
        };
        let text = self.word(expander, word)?;
        let kind = match GitRef::parse(&text) {
            Some(_) if !is_add => {
                let help = "ADD clones git repositories: write ADD in place of COPY".to_owned();
                self.error_with_help(codes::SOURCE, "source can't be a git ref for COPY".to_owned(), word.span, help);
                return None;
            }
            Some(Ok(git)) => SourceKind::Git(git),
            Some(Err(problem)) => {
                self.error_with_help(codes::SOURCE, problem.to_string(), word.span, GIT_ADDRESS.to_owned());
                return None;
            }
            None if text.starts_with("http://") || text.starts_with("https://") => {
                if !is_add {
                    let help = "ADD downloads files: write ADD in place of COPY".to_owned();
                    self.error_with_help(codes::SOURCE, "source can't be a URL for COPY".to_owned(), word.span, help);
                    return None;
                }
                SourceKind::Http(text.clone())
            }
            None => match paths::source(self.is_windows(), &text) {
                Ok(path) => SourceKind::Path(path),
                Err(problem) => {
                    self.path_error(problem, word.span);
                    return None;
                }
            },
        };
        Some((kind, text, word.span))
    }

    fn inline(&mut self, expander: &Expander<'_>, heredoc: &Heredoc) -> Option<SourceKind> {
        let content = heredoc.content();
        let bytes = if heredoc.expand {
            let before = expander.names().unset.len();
            match expander.heredoc(&content, heredoc.span) {
                Ok(bytes) => {
                    let unset = expander.names().unset.split_off(before);
                    self.warn_unset_in(&unset, heredoc);
                    bytes
                }
                Err(error) => {
                    self.pass(error.into());
                    return None;
                }
            }
        } else {
            content.into_owned()
        };
        Some(SourceKind::Inline { name: heredoc.name.to_string(), bytes: bytes.into() })
    }

    fn destination(&mut self, expander: &Expander<'_>, word: &Word, texts: &mut Vec<String>) -> Option<String> {
        let text = self.word(expander, word)?;
        let made = match paths::destination(self.is_windows(), &text) {
            Ok(made) => made,
            Err(problem) => {
                self.path_error(problem, word.span);
                return None;
            }
        };
        texts.push(text);
        Some(made)
    }

    fn check_checksum(&mut self, add: Option<&Add>, sum: Option<&str>, sources: &[Source]) -> bool {
        let (Some(word), Some(sum)) = (add.and_then(|add| add.checksum.as_ref()), sum) else { return true };
        let (problem, help) = match sources {
            [Source { kind: SourceKind::Git(git), .. }] if git.checksum.as_ref().is_some_and(|other| other != sum) => {
                ("--checksum and checksum in the address say different things".to_owned(), "leave one of them out")
            }
            [Source { kind: SourceKind::Git(_), .. }] if !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) => (
                format!("invalid checksum: {sum:?} is not the beginning of a commit's id"),
                "for a repository write the hexadecimal digits that `git rev-parse` prints for the commit",
            ),
            [Source { kind: SourceKind::Git(_), .. }] => return true,
            [Source { kind: SourceKind::Http(_), .. }] => match sum.parse::<Digest>() {
                Ok(_) => return true,
                Err(error) => (
                    format!("invalid checksum: {error}"),
                    "write sha256: and 64 lower-case hexadecimal digits, as the program sha256sum prints them",
                ),
            },
            [_] => (
                "checksum requires HTTP(S) or Git sources".to_owned(),
                "remove the flag: files of the build context are told apart by their content anyway",
            ),
            _ => (
                "checksum can't be specified for multiple sources".to_owned(),
                "write one ADD for each source, with its own checksum",
            ),
        };
        self.error_with_help(codes::CHECKSUM, problem, word.span, help.to_owned());
        false
    }

    /// Refuses an address that says another thing about `.git` than the flag does.
    fn check_git_dir(&mut self, add: Option<&Add>, sources: &[Source]) -> bool {
        let Some(keeps) = add.and_then(|add| add.keep_git_dir) else { return true };
        let other = sources.iter().find(|source| match &source.kind {
            SourceKind::Git(git) => git.keep_git_dir.is_some_and(|other| other != keeps),
            _ => false,
        });
        let Some(other) = other else { return true };
        let message = "--keep-git-dir and keep-git-dir in the address say different things".to_owned();
        self.error_with_help(codes::SOURCE, message, other.span, "leave one of them out".to_owned());
        false
    }

    /// Warns of a source that the ignore file leaves out (dockerfile.md §18, CopyIgnoredFile).
    fn lint_ignored(&mut self, keyword: &str, path: &str, span: strake_parser::Span) {
        let Some(rules) = &self.table.options.ignore else { return };
        if strake_parser::lint::is_ignored_source(rules, path) {
            let verb = if keyword == "ADD" { "Add" } else { "Copy" };
            let message = format!("Attempting to {verb} file {path:?} that is excluded by .dockerignore");
            let help = "take the file out of the ignore file: as it is, it is not there for the build";
            self.lint(Rule::CopyIgnoredFile, message, span, help);
        }
    }
}

/// Gives `COPY --chown=… src… dest # buildkit` (dockerfile.md §13.5, `H:`).
fn history_text(keyword: &str, copy: &Copy, chown: Option<&str>, chmod: Option<&str>, texts: &[String]) -> String {
    let mut out = keyword.to_owned();
    if copy.parents {
        out.push_str(" --parents");
    }
    // Writing to a String cannot fail.
    if let Some(chown) = chown {
        let _ = write!(out, " --chown={chown}");
    }
    if let Some(chmod) = chmod {
        let _ = write!(out, " --chmod={chmod}");
    }
    for text in texts {
        out.push(' ');
        out.push_str(text);
    }
    out.push_str(" # buildkit");
    out
}
