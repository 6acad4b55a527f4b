//! `docker-credential-straketest`: answers as docker's credential helpers do (docker-credential-helpers,
//! credentials/credentials.go), on each host that the tests run on. It knows `me` and `pw` for this machine alone.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (answer, code) = answer();
    match stdout().write_all(answer.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(2),
    }
}

fn answer() -> (String, ExitCode) {
    if std::env::args().nth(1).as_deref() != Some("get") {
        return ("it is only ever asked to `get`\n".to_owned(), ExitCode::FAILURE);
    }
    let mut server = String::new();
    match stdin().read_to_string(&mut server) {
        Ok(_) if server.trim().starts_with("127.0.0.1:") => {
            let server = server.trim();
            (format!("{{\"ServerURL\":\"{server}\",\"Username\":\"me\",\"Secret\":\"pw\"}}\n"), ExitCode::SUCCESS)
        }
        _ => ("credentials not found in native keychain\n".to_owned(), ExitCode::FAILURE),
    }
}
