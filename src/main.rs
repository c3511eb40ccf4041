//! The `coordrl` binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    coordrl::cli::main().into()
}
