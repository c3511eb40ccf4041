//! Stop signals: the first Ctrl-C, SIGTERM or SIGHUP asks the training loop to stop; a second
//! Ctrl-C or SIGTERM exits at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit_code::ExitCode;

/// Flag that asks a run to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Builds a flag raised by Ctrl-C, SIGTERM and SIGHUP.
    ///
    /// SIGHUP, sent when the terminal closes, stays ignored if it was ignored at startup, so a run
    /// under `nohup` continues.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Order matters: on the first signal `asked` is still false, so only the later handlers
            // act.
            flag::register_conditional_shutdown(
                signal,
                ExitCode::Interrupted as i32,
                Arc::clone(&asked),
            )?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&stop.0))?;
        }

        // For one closed terminal both shell and kernel may send SIGHUP, and logging out sends it
        // with SIGTERM. Neither is an impatient user, so SIGHUP never forces an exit.
        if !is_ignored(SIGHUP)? {
            flag::register(SIGHUP, Arc::clone(&stop.0))?;
        }

        Ok(stop)
    }

    /// Raises the flag, as a signal does.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Also raises the flag when this process's stdin closes: its parent has exited or asks it to
    /// stop.
    pub fn follow_stdin(&self) {
        let stop = Arc::clone(&self.0);
        std::thread::spawn(move || {
            // Treat an unreadable stdin as closed.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Returns `true` once the flag is raised.
    pub fn is_raised(&self) -> bool {
        // Relaxed: the flag guards no other memory, and a later check may be the first to see it.
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns `true` if this process ignores `signal`.
fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: `sigaction` is a plain C struct; all-zero bytes are a valid value.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };

    // SAFETY: with a null new action, the call only writes the current one to `current`, which we
    // own.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) };
    match result {
        0 => Ok(current.sa_sigaction == libc::SIG_IGN),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_is_told_from_one_that_is_not() {
        // Rust programs start with SIGPIPE ignored; nothing here touches SIGURG.
        assert!(is_ignored(libc::SIGPIPE).unwrap());
        assert!(!is_ignored(libc::SIGURG).unwrap());
    }
}
