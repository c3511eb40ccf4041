//! Command-line options of the benches, as in `cargo bench --bench a2c -- --device cuda:0 --turns
//! 3`.

use coordrl_agents::device::DeviceChoice;
use tch::Device;

/// Returns `--device`, default CPU.
pub fn device() -> Device {
    option("device").unwrap_or(DeviceChoice::Cpu).resolve().unwrap()
}

/// Returns `--turns`, default `usual`.
pub fn turns(usual: usize) -> usize {
    option("turns").unwrap_or(usual)
}

/// Returns `--actors`, default one per core.
#[allow(dead_code, reason = "not every bench has actors")]
pub fn actors() -> usize {
    option("actors")
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()))
}

fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let flag = format!("--{name}");
    let value = std::env::args().skip_while(|argument| *argument != flag).nth(1)?;
    Some(value.parse().unwrap_or_else(|_| panic!("{flag} {value} is not understood")))
}
