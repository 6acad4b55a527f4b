//! The page about the rules says what their table says.

use std::fmt::Write as _;
use std::path::Path;

use strake_parser::Rule;

const BEGIN: &str = "<!-- table: made by parser/tests/lints_page.rs -->\n";
const END: &str = "<!-- end of the table -->\n";

fn table() -> String {
    let mut out = String::from("| Rule | Code | When | What | Fix |\n|---|---|---|---|---|\n");
    for rule in Rule::ALL {
        let when = match (rule.is_own(), rule.is_experimental()) {
            (false, false) => "always",
            (false, true) => "when named",
            (true, false) => "always (strake's)",
            (true, true) => "`strake check` (strake's)",
        };
        let fix = if rule.has_fix() { "yes" } else { "no" };
        let (name, code, description) = (rule.name(), rule.code(), rule.description());
        writeln!(out, "| {name} | {code} | {when} | {description} | {fix} |").expect("a String takes all");
    }
    out
}

/// With `STRAKE_WRITE_PAGES=1` the page is written instead.
#[test]
fn the_page_about_lints_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lints.md");
    let page = std::fs::read_to_string(&path).expect("docs/lints.md").replace("\r\n", "\n");
    let (head, rest) = page.split_once(BEGIN).expect("the page has the mark of the table");
    let (have, tail) = rest.split_once(END).expect("the page has the mark of the table's end");
    let wanted = table();
    if std::env::var_os("STRAKE_WRITE_PAGES").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{wanted}{END}{tail}")).expect("docs/lints.md can be written");
        return;
    }
    assert!(
        have == wanted,
        "docs/lints.md is old: run STRAKE_WRITE_PAGES=1 cargo test -p strake-parser --test lints_page"
    );
}
