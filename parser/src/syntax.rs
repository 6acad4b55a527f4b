//! Parser directives, and which language a file is written in (dockerfile.md §2).

use crate::ast::{Directives, Escape};
use crate::check::CheckSettings;
use crate::codes;
use crate::diagnostic::{Diagnostic, is_full_of_warnings, keep};
use crate::features::{Feature, Language};
use crate::json;
use crate::lines::{Lines, PhysicalLine};
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::{Span, Spanned};
use crate::suggest::suggest;

/// The newest minor version of `docker/dockerfile:1` whose language this crate covers (dockerfile.md §26).
pub const COVERED_MINOR: u32 = 29;

/// What a `syntax` value names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// The language of this crate; the version of the tag where it gives one, as major and minor.
    BuiltIn {
        /// Major and minor version.
        version: Option<(u32, u32)>,
        /// Whether the tag is of the `labs` line.
        is_labs: bool,
    },
    /// Some other program.
    External(String),
}

impl Frontend {
    /// Reads the value of `# syntax=` or of the build argument `BUILDKIT_SYNTAX`.
    pub fn parse(value: &str) -> Self {
        let reference = value.split(' ').next().unwrap_or_default();
        if reference == "dockerfile.v0" {
            return Self::BuiltIn { version: None, is_labs: false };
        }
        let name = reference.split('@').next().unwrap_or_default();
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (name, "latest"),
        };
        let registries = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"];
        let path = registries.iter().find_map(|registry| repository.strip_prefix(registry)).unwrap_or(repository);
        if !matches!(path, "docker/dockerfile" | "docker/dockerfile-upstream") {
            return Self::External(reference.to_owned());
        }
        let is_labs = tag.ends_with("labs") || tag.ends_with("experimental");
        let mut numbers = tag.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        let version = numbers.next().zip(numbers.next());
        Self::BuiltIn { version, is_labs }
    }
}

/// Reads the directive area; `lines` stands after it then.
pub(crate) fn read_directives(
    source: &SourceText,
    lines: &mut Lines<'_>,
    comments: &mut Vec<Span>,
    out: &mut Vec<Diagnostic>,
) -> Directives {
    let mut directives = Directives::default();
    let mut seen: Vec<(&'static str, Span)> = Vec::new();
    let mut ahead = lines.clone();
    while let Some(line) = ahead.next() {
        let Some((name, value)) = read_directive(&line, "#") else {
            if read_features(&line, &mut directives, out) {
                comments.extend(directives.features_line);
                *lines = ahead.clone();
            }
            break;
        };
        let (_, start) = line.stripped();
        let span = Span::new(start, line.end());
        comments.push(span);
        *lines = ahead.clone();
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            let message = format!("only one {name} parser directive can be used");
            let made = Diagnostic::error(codes::DIRECTIVE_TWICE, message, span);
            keep(made.with_label(*first, "given here first").with_help("remove one of them"), out);
            continue;
        }
        seen.push((name, span));
        apply(&mut directives, name, value, out);
    }
    detect_syntax(source, &mut directives, out);
    directives
}

/// Passes over the directives of an included file: it is read in the language of the first one.
pub(crate) fn pass_directives(
    lines: &mut Lines<'_>,
    language: Language,
    comments: &mut Vec<Span>,
    out: &mut Vec<Diagnostic>,
) {
    let mut ahead = lines.clone();
    while let Some(line) = ahead.next() {
        let (text, start) = line.stripped();
        let directive = read_directive(&line, "#");
        if directive.is_none() && own_setting(text).is_none() {
            return;
        }
        let span = Span::new(start, line.end());
        comments.push(span);
        *lines = ahead.clone();
        if let Some(("escape", value)) = directive
            && value.value != language.escape.char().to_string()
        {
            let message = format!(
                "an included file has the escape character of the first one, which is {}",
                language.escape.char()
            );
            let help = "remove the directive, or give the first file the same one";
            keep(Diagnostic::error(codes::ESCAPE_TOKEN, message, span).with_help(help), out);
        }
    }
}

fn apply(directives: &mut Directives, name: &'static str, value: Spanned<String>, out: &mut Vec<Diagnostic>) {
    match name {
        "escape" => match value.value.as_str() {
            "\\" => directives.escape = Some(Spanned::new(Escape::Backslash, value.span)),
            "`" => directives.escape = Some(Spanned::new(Escape::Backtick, value.span)),
            other => {
                let message = format!("invalid escape token '{other}' does not match ` or \\");
                let help = "write # escape=` for Windows paths, or leave the directive out";
                keep(Diagnostic::error(codes::ESCAPE_TOKEN, message, value.span).with_help(help), out);
            }
        },
        "check" => {
            match CheckSettings::parse(&value.value) {
                Ok(settings) => {
                    warn_of_unknown_rules(&settings, value.span, out);
                    directives.check_settings = settings;
                }
                Err(error) => {
                    let help =
                        "the options are skip=RULES|all, experimental=RULES|all and error=true|false, joined by ;";
                    let message = format!("failed to parse check options: {error}");
                    keep(Diagnostic::error(codes::CHECK_OPTION, message, value.span).with_help(help), out);
                }
            }
            directives.check = Some(value);
        }
        _ => directives.syntax = Some(value),
    }
}

/// Warns of names that are no rule, which the reference passes over in silence.
pub(crate) fn warn_of_unknown_rules(settings: &CheckSettings, span: Span, out: &mut Vec<Diagnostic>) {
    for name in &settings.unknown {
        if is_full_of_warnings(out) {
            return;
        }
        let made = Diagnostic::warning(codes::UNKNOWN_RULE, format!("there is no build check {name:?}"), span);
        let made = match suggest(name, Rule::ALL.iter().map(|rule| rule.name())) {
            Some(near) => made.with_help(format!("did you mean {near}?")),
            None => made.with_help("write the name as findings show it behind the code, as in StageNameCasing"),
        };
        keep(made, out);
    }
}

/// Reads a directive line with a known name.
fn read_directive(line: &PhysicalLine<'_>, comment: &str) -> Option<(&'static str, Spanned<String>)> {
    let (text, _) = line.stripped();
    let (name, value) = split_directive(text.strip_prefix(comment)?.trim_start())?;
    let name = ["syntax", "escape", "check"].into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    let start = line.start + offset_in(line.text, value);
    Some((name, Spanned::new(value.to_owned(), Span::new(start, start + value.len()))))
}

/// Gives where `part`, a slice of `whole`, begins in it.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// Splits `name = value`; the name is an ASCII letter and letters or digits, the value is not empty.
pub(crate) fn split_directive(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let blank: &[char] = &['\t', '\n', '\x0c', '\r', ' '];
    let (name, value) = (name.trim_end_matches(blank), value.trim_matches(blank));
    let first = name.bytes().next()?;
    let is_name = first.is_ascii_alphabetic() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_name && !value.is_empty()).then_some((name, value))
}

/// Gives what follows `# strake:` in a comment, which begins with `#`.
fn own_setting(comment: &str) -> Option<&str> {
    Some(comment.strip_prefix('#')?.trim_start().strip_prefix("strake:")?.trim())
}

/// Reads `# strake: features=A,B`; says whether the line is one of that kind.
fn read_features(line: &PhysicalLine<'_>, directives: &mut Directives, out: &mut Vec<Diagnostic>) -> bool {
    let (text, start) = line.stripped();
    let Some(setting) = own_setting(text) else { return false };
    let list = match setting.split_once('=') {
        Some((name, list)) if name.trim_end() == "features" => list,
        _ => {
            let names: Vec<_> = Feature::ALL.into_iter().map(Feature::name).collect();
            let help = format!("write # strake: features=NAME,NAME; the names are {}", names.join(", "));
            let message = format!("there is no setting {setting:?}");
            let span = Span::new(start, line.end());
            keep(Diagnostic::error(codes::FEATURE, message, span).with_help(help), out);
            return true;
        }
    };
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let start = line.start + offset_in(line.text, name);
        let span = Span::new(start, start + name.len());
        match Feature::find(name) {
            Some(feature) => directives.features.push(Spanned::new(feature, span)),
            None => keep(unknown_feature(name, span), out),
        }
    }
    directives.features_line = Some(Span::new(start, line.end()));
    true
}

fn unknown_feature(name: &str, span: Span) -> Diagnostic {
    let names = Feature::ALL.into_iter().map(Feature::name);
    let list: Vec<_> = names.clone().collect();
    match suggest(name, list.iter().copied()) {
        Some(near) => {
            let message = format!("there is no feature {name:?} (did you mean {near}?)");
            Diagnostic::error(codes::FEATURE, message, span).with_fix(span, near)
        }
        None => Diagnostic::error(codes::FEATURE, format!("there is no feature {name:?}"), span)
            .with_help(format!("the features are {}", list.join(", "))),
    }
}

/// Warns of a comment that would opt in to features if it stood at the top.
pub(crate) fn warn_of_late_features(comment: &str, span: Span, out: &mut Vec<Diagnostic>) {
    if own_setting(comment).is_some_and(|setting| setting.starts_with("features")) {
        let message = "this line opts in to nothing";
        let help = "put it once, right after the parser directives (syntax, escape, check), or else on the first line";
        keep(Diagnostic::warning(codes::LATE_FEATURES, message, span).with_help(help), out);
    }
}

/// Looks for `syntax` where only its detection looks: after `#!`, in `//` comments, in a JSON object.
fn detect_syntax(source: &SourceText, directives: &mut Directives, out: &mut Vec<Diagnostic>) {
    let text = source.text();
    let has_shebang = text.starts_with("#!");
    if has_shebang {
        detect_after_shebang(source, directives, out);
    }
    if directives.syntax.is_some() {
        return;
    }
    let slashes = Lines::new(source).skip(usize::from(has_shebang)).map_while(|line| read_directive(&line, "//"));
    directives.syntax = slashes.into_iter().find(|(name, _)| *name == "syntax").map(|(_, value)| value);
    if directives.syntax.is_none() && text.trim_start().starts_with('{') {
        let member = json::read_member(text, "syntax");
        directives.syntax =
            member.map(|(value, range)| Spanned::new(value.into_owned(), Span::new(range.start, range.end)));
    }
}

/// A `#!` line is an ordinary comment to the main parser, so that `escape` after it has no effect (dockerfile.md §2.8).
fn detect_after_shebang(source: &SourceText, directives: &mut Directives, out: &mut Vec<Diagnostic>) {
    let lines = Lines::new(source).skip(1);
    for (name, value) in lines.map_while(|line| read_directive(&line, "#")) {
        match name {
            "escape" => {
                let message = "the escape directive has no effect after a line that starts with #!";
                let help = "move the escape directive to the first line";
                keep(Diagnostic::warning(codes::DIRECTIVE_WITHOUT_EFFECT, message, value.span).with_help(help), out);
            }
            "syntax" if directives.syntax.is_none() => directives.syntax = Some(value),
            "check" if directives.check.is_none() => apply(directives, name, value, out),
            _ => {}
        }
    }
}

/// Checks that the file is written in the language of this crate; `forced` is `BUILDKIT_SYNTAX`.
pub(crate) fn check_frontend(directives: &Directives, forced: Option<&str>, out: &mut Vec<Diagnostic>) {
    let (value, span) = match (forced, &directives.syntax) {
        (Some(value), _) if !value.is_empty() => (value, Span::default()),
        (_, Some(syntax)) => (syntax.value.as_str(), syntax.span),
        _ => return,
    };
    match Frontend::parse(value) {
        Frontend::External(reference) => {
            let message = format!("external frontends are not supported: {reference}");
            let help = "strake reads the language itself: remove the syntax directive, name docker/dockerfile:1, or \
                        pass the build argument BUILDKIT_SYNTAX=dockerfile.v0";
            keep(Diagnostic::error(codes::EXTERNAL_FRONTEND, message, span).with_help(help), out);
        }
        Frontend::BuiltIn { version: Some((major, minor)), .. } if (major, minor) > (1, COVERED_MINOR) => {
            let message = format!("docker/dockerfile:{major}.{minor} is newer than what strake covers");
            let help = format!("features up to docker/dockerfile:1.{COVERED_MINOR} are known");
            keep(Diagnostic::warning(codes::NEWER_SYNTAX, message, span).with_help(help), out);
        }
        Frontend::BuiltIn { .. } => {}
    }
}

/// Reads the settings in the comments right before an instruction (dockerfile.md §2.11).
pub(crate) fn read_overrides(docs: &[Spanned<String>], out: &mut Vec<Diagnostic>) -> Option<CheckSettings> {
    let found = docs.iter().find_map(|doc| {
        let (name, value) = split_directive(&doc.value)?;
        name.eq_ignore_ascii_case("check").then_some((value, doc.span))
    });
    let (value, span) = found?;
    match CheckSettings::parse(value) {
        Ok(settings) => {
            warn_of_unknown_rules(&settings, span, out);
            Some(settings)
        }
        Err(error) => {
            let help = "before an instruction write # check=skip=RULE,RULE";
            let made = Diagnostic::warning(codes::CHECK_COMMENT, format!("comment is ignored: {error}"), span);
            keep(made.with_help(help), out);
            None
        }
    }
}
