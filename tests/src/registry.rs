//! A registry on the loopback interface.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Host, needs_program};

/// How often the registry is asked, every 20 ms, before it counts as broken.
const TRIES: usize = 3000;

/// The distribution project's registry, with its storage in the folder of a [`Host`]; ends with its value.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    /// `localhost:PORT`
    pub name: String,
}

impl Registry {
    /// Starts one; `None`, with a line that says why, where the program is missing.
    pub fn start(test: &str, host: &Host) -> Option<Self> {
        Self::with(test, host, "")
    }

    /// Starts one that wants [`Registry::ACCOUNT`].
    pub fn guarded(test: &str, host: &Host) -> Option<Self> {
        // A hash of bcrypt that its programs are tested with, which is quick to check.
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let accounts = host.write("accounts", format!("app:{hash}\n"));
        Self::with(test, host, &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", accounts.display()))
    }

    /// The user and the password of a guarded one, as `auth` of a docker configuration has them: `app:U*U`.
    pub const ACCOUNT: &str = "YXBwOlUqVQ==";

    fn with(test: &str, host: &Host, more: &str) -> Option<Self> {
        let program = needs_program(test, "docker-registry")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = host.path("registry");
        std::fs::create_dir_all(&storage).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: 127.0.0.1:{port}}}\n{more}",
            storage.display()
        );
        let config = host.write("registry.yml", &config);
        let mut command = Command::new(program);
        command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let registry = Self { process, name: format!("localhost:{port}") };
        for _ in 0..TRIES {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the registry does not answer");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ignored = self.process.kill();
        let _ignored = self.process.wait();
    }
}
