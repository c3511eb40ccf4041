//! `cargo xtask …`: what surrounds the build but cargo itself cannot do: fetching libtorch and the
//! Arcade Learning Environment, checking the machine, and running all checks of a change.

mod ale;
mod ale_patches;
mod cli;
mod deps_dir;
mod digits;
mod doctor;
mod gates;
mod hash;
mod layout;
mod libale;
mod libtorch;
mod page;
mod parity;
mod pins;
mod pip;
mod prerequisites;
mod process;
mod redis;
mod roms;
mod setup;
mod stamp;
mod talk;
mod unpack;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Cli::read(std::env::args_os())) {
        Ok(code) => code,
        Err(error) => {
            talk::error(&error);
            ExitCode::FAILURE
        }
    }
}
