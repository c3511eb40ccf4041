//! Location of the ROMs.

use std::path::{Path, PathBuf};

use coordrl_envs::Assets;

/// Environment variable that overrides the ROM folder for every command.
const ROM_DIR_VARIABLE: &str = "COORDRL_ROM_DIR";

/// Locates the ROMs: the setting, else the environment variable, else the set-up folder.
pub fn assets(rom_dir: Option<&Path>) -> Assets {
    let chosen = rom_dir
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(ROM_DIR_VARIABLE).map(PathBuf::from));
    match chosen {
        Some(rom_dir) => Assets { rom_dir },
        None => Assets::in_deps(Path::new(env!("COORDRL_BUILD_DEPS_DIR"))),
    }
}
