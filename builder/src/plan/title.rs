//! The texts of progress lines (dockerfile.md §14).

use super::environment::Environment;

/// Gives the text of an instruction for its progress line: keyword in upper case, variables put in where they are
/// known, the first line of a here-document that is the whole command.
pub(super) fn of(original: &str, env: &Environment, first_line: Option<&str>) -> String {
    let text = original.trim();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    let mut out = keyword.to_uppercase();
    out.push_str(&fill_in(rest, env));
    match first_line {
        Some(line) => format!("{out} ({line})"),
        None => out,
    }
}

/// Gives the first line of a here-document, with `...` where more follow.
pub(super) fn first_line(body: &str) -> String {
    let body = body.trim();
    let mut lines = body.lines();
    let first = lines.next().unwrap_or_default().trim_end_matches('\r').to_owned();
    if lines.next().is_some() { first + "..." } else { first }
}

/// Replaces `$NAME` and `${NAME}` that have a value; quotes and everything else stay.
fn fill_in(text: &str, env: &Environment) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_quoted = false;
    while let Some(at) = rest.find(['$', '\\', '\'', '"']) {
        out.push_str(&rest[..at]);
        let found = &rest[at..];
        let after = match found.as_bytes()[0] {
            b'\\' => {
                let end = found.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&found[..end]);
                &found[end..]
            }
            b'\'' if !is_quoted => {
                let end = found[1..].find('\'').map_or(found.len(), |end| end + 2);
                out.push_str(&found[..end]);
                &found[end..]
            }
            b'$' => fill_one(found, env, &mut out),
            _ => {
                is_quoted ^= found.starts_with('"');
                out.push_str(&found[..1]);
                &found[1..]
            }
        };
        rest = after;
    }
    out + rest
}

/// Handles a text that begins with `$`; gives what follows the variable.
fn fill_one<'a>(text: &'a str, env: &Environment, out: &mut String) -> &'a str {
    let inner = &text[1..];
    let (name, after) = match inner.strip_prefix('{') {
        Some(braced) => match braced.split_once('}') {
            Some((name, after)) => (name, after),
            None => ("", inner),
        },
        None => {
            let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
            inner.split_at(end)
        }
    };
    match env.get(name).filter(|_| !name.is_empty()) {
        Some(value) => {
            out.push_str(value);
            after
        }
        None => {
            out.push('$');
            inner
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_put_in_and_quotes_stay() {
        let mut env = Environment::new(false);
        env.set("A", "1");
        let title = |text| of(text, &env, None);
        assert_eq!(
            title("run echo $A \"${A}\" '$A' \\$A $B ${A:-x} $(pwd) $"),
            "RUN echo 1 \"1\" '$A' \\$A $B ${A:-x} $(pwd) $"
        );
        assert_eq!(title("copy \"it's $A\" /é"), "COPY \"it's 1\" /é");
        assert_eq!(of("RUN <<EOT", &env, Some(&first_line("\necho 1\r\necho 2\n"))), "RUN <<EOT (echo 1...)");
    }
}
