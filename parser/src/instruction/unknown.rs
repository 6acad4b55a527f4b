//! Lines that begin with no keyword: what they may have been meant to be.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::features::{self, Feature, Language};
use crate::keyword::Keyword;
use crate::source::SourceText;
use crate::span::Span;
use crate::suggest::nearest;

/// What other languages call the lines of a block.
const BLOCK_WORDS: &[(&str, &str)] = &[("END", "ENDIF"), ("FI", "ENDIF"), ("ELIF", "ELSE IF"), ("ELSEIF", "ELSE IF")];

/// What lines of a shell begin with that was meant for a RUN above, and what is near to a keyword.
const SHELL_WORDS: &[&str] = &[
    "[", "adduser", "apk", "apt", "apt-get", "bash", "cat", "cd", "chmod", "chown", "cp", "curl", "dnf", "do", "done",
    "echo", "elif", "else", "esac", "exec", "exit", "export", "fi", "for", "git", "go", "grep", "groupadd", "if",
    "install", "ln", "ls", "make", "mkdir", "mv", "npm", "perl", "pip", "pip3", "printf", "pwd", "python", "python3",
    "rm", "sed", "set", "sh", "sort", "source", "su", "sudo", "tar", "tee", "test", "then", "touch", "true", "umask",
    "unset", "unzip", "useradd", "usermod", "wget", "while", "xargs", "yarn", "yum",
];

/// What here-documents are usually ended by.
const HEREDOC_ENDS: &[&str] = &["EOF", "EOT", "EOL", "EOS", "END", "HEREDOC"];

/// What git writes where it could not merge.
const MERGE_MARKS: &[&str] = &["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What to do about them.
const MERGE: &str = "git left this mark where it could not merge: keep one of the two versions";

const CONTINUE: &str = "a line starts with a keyword; to continue the line before, end that with the escape character, \
                        or use a here-document";

const SHELL: &str = "this is a command of the shell: to make it part of the RUN above, end the line before with the \
                     escape character, or use a here-document; else write RUN before it";

/// Gives the line of a block that other languages write as `word`.
pub(crate) fn block_word(word: &str) -> Option<&'static str> {
    BLOCK_WORDS.iter().find(|(other, _)| other.eq_ignore_ascii_case(word)).map(|(_, name)| *name)
}

/// Makes the error of a line that begins with `word`.
pub(super) fn unknown_instruction(word: &str, language: Language, span: Span) -> Diagnostic {
    let shown: String = word.chars().take(100).collect();
    let made =
        |hint: &str| Diagnostic::error(codes::UNKNOWN_INSTRUCTION, format!("unknown instruction: {shown}{hint}"), span);
    if SHELL_WORDS.contains(&word) && !language.features.contains(Feature::If) {
        return made("").with_help(SHELL);
    }
    if let Some(feature) = Keyword::find(word).and_then(features::of_keyword) {
        return made("").with_help(feature.remedy());
    }
    let as_written = |name: &str| if word == word.to_lowercase() { name.to_lowercase() } else { name.to_owned() };
    let meant = |name: &str| made(&format!(" (did you mean {}?)", as_written(name)));
    if let Some(name) = block_word(word).filter(|_| language.features.contains(Feature::If)) {
        return meant(name).with_fix(span, as_written(name));
    }
    if MERGE_MARKS.contains(&word) {
        return made("").with_help(MERGE);
    }
    if HEREDOC_ENDS.contains(&word) {
        let help = format!("if it ends a here-document, the RUN or COPY above must begin one, with <<{word}");
        return made("").with_help(help);
    }
    if SHELL_WORDS.contains(&word) {
        return made("").with_help(SHELL);
    }
    let letters = word.chars().count();
    match nearest(&word.to_uppercase(), Keyword::names(language.features)) {
        // Of three letters one must be right by chance.
        Some((name, edits)) if edits == 1 && letters > 3 => meant(name).with_fix(span, as_written(name)),
        Some((name, edits)) if edits == 1 || letters > 4 => meant(name).with_help(CONTINUE),
        _ => made("").with_help(CONTINUE),
    }
}

/// Says of lines that begin with no keyword what only the lines around them show: marks of a merge inside an
/// instruction, and the ends of here-documents that are none.
pub(crate) fn explain_unknown(source: &SourceText, diagnostics: &mut [Diagnostic]) {
    let mut unknown = diagnostics.iter_mut().filter(|found| found.code == codes::UNKNOWN_INSTRUCTION).peekable();
    if unknown.peek().is_none() {
        return;
    }
    let merge = find_merge(source);
    for found in unknown {
        let number = source.line_of(found.span.start());
        if let Some((begin, _)) = merge.filter(|(begin, end)| (*begin..=*end).contains(&number))
            && found.help.as_deref() != Some(MERGE)
        {
            found.fix = None;
            found.help = Some(format!("on line {begin} begins what git could not merge: keep one of the two versions"));
            continue;
        }
        explain_delimiter(source, found);
    }
}

/// Gives the lines of the first two marks of a merge, and one more: what follows may continue the last.
fn find_merge(source: &SourceText) -> Option<(usize, usize)> {
    let line_of = |mark: &str| match source.text().starts_with(mark) {
        true => Some(1),
        false => memchr::memmem::find(source.text().as_bytes(), format!("\n{mark}").as_bytes())
            .map(|at| source.line_of(at + 1)),
    };
    let (begin, end) = (line_of("<<<<<<< ")?, line_of(">>>>>>> ")?);
    (begin < end).then_some((begin, end + 1))
}

/// The delimiter of a here-document that was none is taken for an instruction: says so in place of one that is spelt alike.
fn explain_delimiter(source: &SourceText, found: &mut Diagnostic) {
    // So far above it a here-document is looked for.
    const NEAR: usize = 16 << 10;
    let word = source.slice(found.span);
    let line = source.line(source.line_of(found.span.start())).unwrap_or_default();
    if line.trim() != word || word.len() > 32 {
        return;
    }
    let mut start = found.span.start().saturating_sub(NEAR);
    while !source.text().is_char_boundary(start) {
        start += 1;
    }
    let above = source.slice(Span::new(start, found.span.start()));
    let starts = ["<<", "<<-", "<<\"", "<<'", "<<-\"", "<<-'", "<< "];
    let mut written = starts.iter().map(|start| format!("{start}{word}"));
    let Some((written, at)) = written.find_map(|text| above.find(&text).map(|at| (text, at))) else { return };
    let line = source.line(source.line_of(start + at)).unwrap_or_default();
    let keyword = line.split_whitespace().next().and_then(Keyword::find);
    let help = match keyword.filter(|keyword| !keyword.takes_heredocs() && *keyword != Keyword::Onbuild) {
        Some(keyword) => format!("{} takes none: only RUN, COPY and ADD do", keyword.name()),
        None => "no here-document began there: write it without a blank, and close every quote on its line".to_owned(),
    };
    found.message = format!("unknown instruction: {word}");
    found.fix = None;
    found.help = Some(format!("it looks like the end of {written}, but {help}"));
}
