//! Device of a bench: `-- --device cuda:0`, default CPU.

use coordrl_agents::device::DeviceChoice;
use tch::Device;

pub fn device() -> Device {
    let name = std::env::args().skip_while(|argument| argument != "--device").nth(1);
    let name = name.unwrap_or_else(|| "cpu".to_owned());
    let choice = name.parse::<DeviceChoice>().and_then(DeviceChoice::resolve);
    choice.unwrap_or_else(|error| panic!("--device: {error}"))
}
