//! Ctrl-C, termination and hang-up: the first asks the training loop to stop; a second Ctrl-C or
//! termination leaves at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit_code::ExitCode;

/// Whether someone asked the run to stop.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that Ctrl-C, SIGTERM and SIGHUP raise.
    ///
    /// SIGHUP, which a closed terminal sends, is left alone where it was ignored at the start: under
    /// `nohup` a run goes on.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and only raises it.
            flag::register_conditional_shutdown(signal, ExitCode::Interrupted as i32, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&stop.0))?;
        }

        // Shell and kernel may both send it for one closed terminal, and a session's end sends it
        // together with SIGTERM: neither means that somebody is impatient.
        if !is_ignored(SIGHUP)? {
            flag::register(SIGHUP, Arc::clone(&stop.0))?;
        }
        Ok(stop)
    }

    /// Raises it as well when nobody can write to this process's input any more: whoever started it
    /// has gone, or wants it to stop.
    pub fn follow_stdin(&self) {
        let stop = Arc::clone(&self.0);
        std::thread::spawn(move || {
            // An input that cannot be read counts as closed.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether this process ignores a signal.
fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: `sigaction` is a plain C struct, for which all bytes zero is a valid value.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };

    // SAFETY: without a new action the call only writes the present one to `current`, which is ours.
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
