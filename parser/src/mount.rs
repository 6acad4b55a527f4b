//! `RUN --mount` (dockerfile.md §13.3).

use std::borrow::Cow;

use smol_str::SmolStr;

use crate::ast::Word;
use crate::codes;
use crate::csv;
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::words::split_at_equals;

mod resolve;

/// One `--mount` as written; [`Mount::resolve`] gives its meaning once variables have values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The fields in order.
    pub options: Vec<MountOption>,
    /// Where the value of the flag is.
    pub span: Span,
}

/// One field of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOption {
    /// The key in lower case.
    pub key: Spanned<Cow<'static, str>>,
    /// The value, not expanded; none for a key alone.
    pub value: Option<Word>,
    /// The field as written.
    pub field: SmolStr,
}

/// What a mount means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSpec {
    /// Files of the context, a stage or an image.
    Bind(BindMount),
    /// A directory that outlives the build.
    Cache(CacheMount),
    /// A directory in memory.
    Tmpfs(TmpfsMount),
    /// A secret as file or variable.
    Secret(SecretMount),
    /// A socket of an SSH agent.
    Ssh(SshMount),
}

/// `type=bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    /// Where it appears; relative to the working directory.
    pub target: String,
    /// The stage, image or named context, as [`Mount::from`] gives it; none for the build context.
    pub from: Option<Word>,
    /// The path below `from`; none for the root.
    pub source: Option<String>,
    /// Whether it is read-only; else changes are thrown away.
    pub is_read_only: bool,
}

/// `type=cache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMount {
    /// Where it appears; relative to the working directory.
    pub target: String,
    /// The name of the cache; the cleaned target when none is given.
    pub id: String,
    /// What a new cache starts from; none for an empty directory.
    pub from: Option<Word>,
    /// The path below `from`; none for the root.
    pub source: Option<String>,
    /// Who may use it at one time.
    pub sharing: Sharing,
    /// Whether it is read-only.
    pub is_read_only: bool,
    /// Mode and owner of a new directory.
    pub owner: FileOwner,
}

/// `type=tmpfs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmpfsMount {
    /// Where it appears; relative to the working directory.
    pub target: String,
    /// The greatest size in bytes.
    pub size: Option<u64>,
    /// Whether it is read-only.
    pub is_read_only: bool,
}

/// `type=secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMount {
    /// The name of the secret.
    pub id: String,
    /// The path of the file; none when the secret is a variable only.
    pub target: Option<String>,
    /// The name of the variable.
    pub env: Option<String>,
    /// Whether the step fails without it.
    pub is_required: bool,
    /// Mode (default 0400) and owner of the file.
    pub owner: FileOwner,
}

/// `type=ssh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshMount {
    /// The name of the agent.
    pub id: String,
    /// The path of the socket; none for `/run/buildkit/ssh_agent.<n>`.
    pub target: Option<String>,
    /// Whether the step fails without it.
    pub is_required: bool,
    /// Mode (default 0600) and owner of the socket.
    pub owner: FileOwner,
}

/// Mode and owner in a mount; none where not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOwner {
    /// The permission bits.
    pub mode: Option<u32>,
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// Who may use a cache at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// A busy cache is passed over, another one is made.
    Private,
    /// One after the other.
    Locked,
}

/// Gives a key in lower case; those that mounts have cost no memory.
fn lower(key: &str) -> Cow<'static, str> {
    match resolve::KEYS.iter().find(|known| **known == key) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(key.to_lowercase()),
    }
}

impl Mount {
    /// Splits the value of the flag into fields; types and keys are checked after expansion.
    pub(crate) fn parse(value: &Word) -> Result<Self, Diagnostic> {
        let fields = csv::split(&value.raw).map_err(|error| {
            let help = "separate key=value pairs by commas; put a pair that holds a comma in escaped double quotes";
            let message = format!("failed to parse csv mounts: {error}");
            Diagnostic::error(codes::MOUNT_CSV, message, value.span).with_help(help)
        })?;
        // Offsets are only right where the value stands in one piece in the text.
        let is_exact = value.span.len() == value.raw.len();
        let place = |start: usize, end: usize| {
            if is_exact { Span::new(value.span.start() + start, value.span.start() + end) } else { value.span }
        };
        let options = fields.into_iter().map(|field| {
            let (start, end) = (field.range.start, field.range.end);
            let whole = place(start, end);
            let quote = usize::from(field.is_quoted);
            match split_at_equals(&field.text) {
                Some((key, text)) => {
                    let at = start + quote + key.len();
                    let key = Spanned::new(lower(key), place(start + quote, at));
                    let text = Word { raw: text.into(), span: place(at + 1, end.saturating_sub(quote).max(at + 1)) };
                    MountOption { key, value: Some(text), field: field.text.into() }
                }
                None => {
                    let key = Spanned::new(lower(&field.text), whole);
                    MountOption { key, value: None, field: field.text.into() }
                }
            }
        });
        Ok(Self { options: options.collect(), span: value.span })
    }

    /// Gives the value of `from`, which only global ARGs may expand, so that the stage graph is static
    /// (dockerfile.md §8.3). The last one counts.
    pub fn from(&self) -> Option<&Word> {
        self.option("from")
    }

    /// Gives the raw value of the last option with that key.
    pub fn option(&self, key: &str) -> Option<&Word> {
        let found = self.options.iter().rev().find(|option| option.key.value == key);
        found.and_then(|option| option.value.as_ref())
    }
}
