//! Selection of the network's device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tch::{Cuda, Device};

use crate::cuda::load_cuda;

/// Device requested by the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this index.
    Cuda(usize),
}

/// Reason why a device is unavailable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The spelling is unknown.
    #[error("`{0}` is not a device; use `auto`, `cpu` or `cuda:0`")]
    Unknown(String),
    /// This libtorch was built without CUDA.
    #[error("device `cuda:{index}` is not there: libtorch has no CUDA part ({cause}); use `cpu`")]
    NoCudaLibrary {
        /// Requested index.
        index: usize,
        /// Message of the loader.
        cause: String,
    },
    /// libtorch supports CUDA, but the machine has no such device.
    #[error("device `cuda:{index}` is not there: {count} CUDA devices were found; use `cpu`")]
    NoSuchCudaDevice {
        /// Requested index.
        index: usize,
        /// Number of CUDA devices found.
        count: i64,
    },
}

impl DeviceChoice {
    /// Resolves the device, loading libtorch's CUDA library only if it may be needed.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            // Without a usable device `auto` means the CPU, whatever the loader reported.
            Self::Auto => Ok(match load_cuda() {
                Ok(()) if Cuda::is_available() => Device::Cuda(0),
                _ => Device::Cpu,
            }),
            Self::Cuda(index) => resolve_cuda(index),
        }
    }
}

fn resolve_cuda(index: usize) -> Result<Device, DeviceError> {
    // Comes first, because libtorch counts no devices until the library is loaded.
    load_cuda().map_err(|cause| DeviceError::NoCudaLibrary { index, cause })?;
    let count = Cuda::device_count();
    match i64::try_from(index) {
        Ok(wanted) if wanted < count => Ok(Device::Cuda(index)),
        _ => Err(DeviceError::NoSuchCudaDevice { index, count }),
    }
}

/// Returns the spelling used in settings.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip_and_others_are_refused() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            assert!(
                text.parse::<DeviceChoice>().unwrap_err().to_string().contains("`cpu`"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_device_far_out_of_range_is_not_there() {
        let text = DeviceChoice::Cuda(999).resolve().unwrap_err().to_string();
        assert!(text.contains("cuda:999") && text.contains("use `cpu`"), "{text}");
    }
}
