//! Log lines for whoever looks into a run: off unless `COORDRL_LOG` asks for them.
//!
//! `info` is a run's life (begun, checkpoint, ended), `debug` its decisions (preset, device, what is
//! pruned), `trace` single updates. Numbers are metrics, not log lines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// What is logged, as in `COORDRL_LOG=debug` or `COORDRL_LOG=coordrl_agents=trace`.
const VARIABLE: &str = "COORDRL_LOG";

/// Sends log lines to stderr. A filter that does not parse is reported and logs nothing.
pub fn start() {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    match EnvFilter::try_new(&wanted) {
        Ok(filter) => {
            let lines = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(stderr)
                .with_ansi(stderr().is_terminal());
            // Fails only if somebody else in this process has started logging: theirs will do.
            let _ = lines.try_init();
        }
        Err(error) => crate::metrics::console::status!("{VARIABLE}={wanted} is not a filter: {error}"),
    }
}
