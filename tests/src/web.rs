//! A web server on the loopback interface.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Gives the files of a folder, as a server of files does, and the target of a symbolic link as a redirect; its threads
/// end with the process.
#[derive(Debug)]
pub struct Web {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Starts one for a folder.
    pub fn serve(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (folder, log) = (folder.clone(), Arc::clone(&log));
                // A client may go away before it has read all.
                std::thread::spawn(move || drop(answer(stream, &folder, &log)));
            }
        });
        Self { url, seen }
    }

    /// The paths that were asked for, in their order.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, folder: &std::path::Path, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split_whitespace().nth(1).unwrap_or("/");
    log.lock().unwrap().push(path.to_owned());
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    if let Ok(target) = std::fs::read_link(folder.join(path)) {
        let target = target.display();
        write!(&stream, "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return (&stream).flush();
    }
    let (status, body) = match std::fs::read(folder.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", b"not here\n".to_vec()),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body)?;
    }
    stream.flush()
}
