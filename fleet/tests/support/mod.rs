//! A Redis server for a test, in a folder and on a port of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server; killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    folder: TempDir,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, with options such as `["--maxmemory", "1mb"]`.
    ///
    /// Returns `None`, with a message, where no `redis-server` is installed, unless
    /// `COORDRL_REQUIRE_REDIS=1`.
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn start(options: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            let required = std::env::var("COORDRL_REQUIRE_REDIS").is_ok_and(|value| value == "1");
            assert!(!required, "no redis-server: run `cargo xtask redis`");
            eprintln!("skipped: there is no redis-server; `cargo xtask redis` fetches one");
            return None;
        };

        let folder = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let port = free_port();
        let child = launch(&program, port, folder.path(), &options);
        Some(Self { child, port, folder, options })
    }

    #[allow(dead_code, reason = "not every test needs it")]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process, to send signals to.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn process(&self) -> &Child {
        &self.child
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills the server without warning, and starts it anew on the same port.
    pub fn restart(&mut self) {
        self.stop();
        self.child = launch(&program().unwrap(), self.port, self.folder.path(), &self.options);
    }

    /// Kills the server without warning; [`RedisServer::restart`] starts it again.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the server of the checkout, else that of the machine.
fn program() -> Option<PathBuf> {
    let fetched = deps().join("usr/bin/redis-server");
    if fetched.exists() {
        return Some(fetched);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("redis-server")).find(|file| file.exists())
}

fn deps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join(".deps/redis"))
        .find(|dir| dir.exists())
        .unwrap_or_default()
}

fn launch(program: &Path, port: u16, folder: &Path, options: &[String]) -> Child {
    let port_text = port.to_string();
    let child = Command::new(program)
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &port_text, "--dir"])
        .arg(folder)
        .args(options)
        .env("LD_LIBRARY_PATH", deps().join("usr/lib/x86_64-linux-gnu"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < Duration::from_secs(20), "the Redis server does not start");
        thread::sleep(Duration::from_millis(10));
    }
    child
}

/// Returns a port of the loopback that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
