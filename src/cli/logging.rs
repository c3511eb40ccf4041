//! Log lines for debugging, off unless `COORDRL_LOG` is set.
//!
//! `info`: life cycle of a run (begun, checkpoint, ended); `debug`: decisions (preset, device,
//! pruning); `trace`: single updates. Numbers are metrics, not log lines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Variable with the log filter, as in `COORDRL_LOG=debug` or `COORDRL_LOG=coordrl_agents=trace`.
const VARIABLE: &str = "COORDRL_LOG";

/// Sends log lines to stderr. A filter that does not parse is reported, and nothing is logged.
pub fn start() {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    match EnvFilter::try_new(&wanted) {
        Ok(filter) => {
            let lines = tracing_subscriber::fmt()
                .with_env_filter(filter)
                // The default is stdout, which holds results only.
                .with_writer(stderr)
                .with_ansi(stderr().is_terminal());
            // Fails only if logging has already been initialised in this process.
            let _ = lines.try_init();
        }
        Err(error) => {
            crate::metrics::console::status!("{VARIABLE}={wanted} is not a filter: {error}")
        }
    }
}
