//! The device that a bench was asked for: `-- --device cuda:0`, else the CPU.

use coordrl_agents::load_cuda;
use tch::Device;

pub fn device() -> Device {
    let name = std::env::args().skip_while(|argument| argument != "--device").nth(1);
    let Some(name) = name.filter(|name| name != "cpu") else { return Device::Cpu };
    let index = name.strip_prefix("cuda:").and_then(|index| index.parse().ok());
    let index = index.unwrap_or_else(|| panic!("--device {name} is neither cpu nor cuda:0 or the like"));
    load_cuda().unwrap_or_else(|error| panic!("no CUDA: {error}"));
    Device::Cuda(index)
}
