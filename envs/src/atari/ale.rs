//! A safe wrapper around one Arcade Learning Environment emulator.
//!
//! ALE ends the process on a ROM without settings, on an action out of range and on a missing file.
//! All such causes are checked here first and returned as errors.

use std::path::Path;

use cxx::UniquePtr;

use crate::error::EnvError;

#[cxx::bridge(namespace = "coordrl")]
mod ffi {
    unsafe extern "C++" {
        include!("coordrl-envs/src/atari/shim.hpp");

        type AleShim;

        fn open_rom(path: &str) -> Result<UniquePtr<AleShim>>;
        fn rom_digest(rom: &[u8]) -> Result<String>;
        fn supported_digest(game: &str) -> Result<String>;

        fn reset(self: Pin<&mut AleShim>) -> Result<()>;
        fn act(self: Pin<&mut AleShim>, action: u8) -> Result<i32>;
        fn game_over(&self) -> bool;
        fn lives(&self) -> i32;
        fn height(&self) -> u32;
        fn width(&self) -> u32;
        fn screen(&self) -> &[u8];
        fn ram(&self) -> &[u8];
        fn grey_palette(&self, out: &mut [u8]);
        fn rgb_palette(&self, out: &mut [u32]);
        fn minimal_actions(&self) -> Result<Vec<u8>>;
        fn modes(&self) -> Result<Vec<u32>>;
        fn difficulties(&self) -> Result<Vec<u32>>;
        fn set_mode(self: Pin<&mut AleShim>, mode: u32) -> Result<()>;
        fn set_difficulty(self: Pin<&mut AleShim>, difficulty: u32) -> Result<()>;
        fn save_state(&self) -> Result<Vec<u8>>;
        fn load_state(self: Pin<&mut AleShim>, state: &[u8]) -> Result<()>;
    }
}

// SAFETY: an emulator owns all it writes to. What ALE shares between instances is either constant
// (the list of games), filled once under `std::call_once` (the TIA's and the CPU's tables), set
// before the first instance exists (the logger's mode), or written by Supercharger cartridges only
// (their BIOS), and `check_rom` rejects every ROM of that kind. `envs/sanitize` checks this.
unsafe impl Send for ffi::AleShim {}

/// One of the console's 18 actions, in ALE's numbering.
pub type AleAction = u8;

/// ALE's number for doing nothing.
pub const NOOP: AleAction = 0;
/// ALE's number for pressing the button.
pub const FIRE: AleAction = 1;

/// Names of all 18 actions, by number.
pub const ACTION_NAMES: [&str; 18] = [
    "NOOP",
    "FIRE",
    "UP",
    "RIGHT",
    "LEFT",
    "DOWN",
    "UPRIGHT",
    "UPLEFT",
    "DOWNRIGHT",
    "DOWNLEFT",
    "UPFIRE",
    "RIGHTFIRE",
    "LEFTFIRE",
    "DOWNFIRE",
    "UPRIGHTFIRE",
    "UPLEFTFIRE",
    "DOWNRIGHTFIRE",
    "DOWNLEFTFIRE",
];

/// One emulator with one game loaded, initially in the state right after loading the ROM.
///
/// ALE's own stickiness is off: the caller implements it.
pub struct Ale {
    shim: UniquePtr<ffi::AleShim>,
    game: String,
    /// ALE's grey of each palette index.
    grey: [u8; 256],
}

impl Ale {
    /// Loads `game` from the ROM at `path`, which must be exactly the ROM that ALE supports.
    pub fn open(game: &str, path: &Path) -> Result<Self, EnvError> {
        check_rom(game, path)?;
        let name = path.to_str().ok_or_else(|| EnvError::RomUnreadable {
            path: path.to_owned(),
            cause: std::io::Error::other("its path is not valid UTF-8, which the emulator needs"),
        })?;
        let shim = ffi::open_rom(name).map_err(|error| failed(game, error))?;

        // The palette is fixed once the ROM is loaded: one copy saves a call into C++ per frame.
        let mut grey = [0; 256];
        shim.grey_palette(&mut grey);
        Ok(Self { shim, game: game.to_owned(), grey })
    }

    /// Sets mode and difficulty (`None`: the game's default) and restarts the game.
    pub fn choose(&mut self, mode: Option<u32>, difficulty: Option<u32>) -> Result<(), EnvError> {
        let game = self.game.clone();
        if let Some(mode) = mode {
            let available = self.modes()?;
            if !available.contains(&mode) {
                return Err(EnvError::IllegalMode { game, mode, available });
            }
            self.shim.pin_mut().set_mode(mode).map_err(|error| failed(&game, error))?;
        }

        if let Some(difficulty) = difficulty {
            let available = self.difficulties()?;
            if !available.contains(&difficulty) {
                return Err(EnvError::IllegalDifficulty { game, difficulty, available });
            }
            self.shim.pin_mut().set_difficulty(difficulty).map_err(|error| failed(&game, error))?;
        }

        // A choice takes effect at a reset. If there is none, the emulator stays as loaded: a reset
        // would not always lead to the same state.
        if mode.is_some() || difficulty.is_some() { self.reset() } else { Ok(()) }
    }

    /// Restarts the game.
    pub fn reset(&mut self) -> Result<(), EnvError> {
        self.shim.pin_mut().reset().map_err(|error| failed(&self.game, error))
    }

    /// Runs one emulator frame under `action` and returns the game's reward.
    ///
    /// After the game is over nothing moves until [`Ale::reset`], and the reward is 0.
    pub fn act(&mut self, action: AleAction) -> Result<i32, EnvError> {
        if usize::from(action) >= ACTION_NAMES.len() {
            let action = action.into();
            let num_actions = ACTION_NAMES.len();
            return Err(EnvError::IllegalAction { action, num_actions, game: self.game.clone() });
        }
        self.shim.pin_mut().act(action).map_err(|error| failed(&self.game, error))
    }

    /// Returns `true` if the game has ended by itself; frame limits are not considered.
    pub fn game_over(&self) -> bool {
        self.shim.game_over()
    }

    /// Lives left, as counted by ALE; 0 or 1 in games without lives.
    pub fn lives(&self) -> i32 {
        self.shim.lives()
    }

    /// Height of the screen in pixels: 210 in most games, up to 250.
    pub fn height(&self) -> usize {
        self.shim.height() as usize
    }

    /// Width of the screen in pixels: 160.
    pub fn width(&self) -> usize {
        self.shim.width() as usize
    }

    /// The latest frame as palette indices, row by row.
    pub fn screen(&self) -> &[u8] {
        self.shim.screen()
    }

    /// ALE's grey of each palette index.
    pub fn grey(&self) -> &[u8; 256] {
        &self.grey
    }

    /// Red, green and blue of each palette index, as `0x00RRGGBB`.
    pub fn rgb(&self) -> [u32; 256] {
        let mut rgb = [0; 256];
        self.shim.rgb_palette(&mut rgb);
        rgb
    }

    /// The console's 128 bytes of RAM.
    pub fn ram(&self) -> &[u8] {
        self.shim.ram()
    }

    /// Returns the minimal action set of this game, in ALE's order.
    pub fn minimal_actions(&self) -> Result<Vec<AleAction>, EnvError> {
        self.shim.minimal_actions().map_err(|error| failed(&self.game, error))
    }

    /// Returns the modes of this game.
    pub fn modes(&self) -> Result<Vec<u32>, EnvError> {
        self.shim.modes().map_err(|error| failed(&self.game, error))
    }

    /// Returns the difficulties of this game.
    pub fn difficulties(&self) -> Result<Vec<u32>, EnvError> {
        self.shim.difficulties().map_err(|error| failed(&self.game, error))
    }

    /// Serialises the complete emulator state: ALE's own saved state and
    /// what that omits (half-drawn frames, the cached screen, held switches and keys).
    pub fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        self.shim.save_state().map_err(|error| failed(&self.game, error))
    }

    /// Restores a state from [`Ale::save_state`] of the same game.
    ///
    /// Emulator code trusts these bytes, so only the crate's checksummed states get here.
    pub(crate) fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        // The C++ side restores part by part, so an error leaves a mixture that needs a reset.
        self.shim
            .pin_mut()
            .load_state(state)
            .map_err(|error| crate::saved::bad(&self.game, error.what()))
    }
}

/// Refuses any ROM other than the one that ALE's settings of `game` are written for.
fn check_rom(game: &str, path: &Path) -> Result<(), EnvError> {
    let rom = std::fs::read(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => {
            EnvError::RomMissing { game: game.to_owned(), path: path.to_owned() }
        }
        _ => EnvError::RomUnreadable { path: path.to_owned(), cause },
    })?;

    let found = ffi::rom_digest(&rom).map_err(|error| failed(game, error))?;
    let expected = ffi::supported_digest(game).map_err(|error| failed(game, error))?;
    if expected.is_empty() {
        return Err(EnvError::UnsupportedGame { name: game.to_owned() });
    }

    if found == expected {
        return Ok(());
    }

    Err(EnvError::RomWrong { game: game.to_owned(), path: path.to_owned(), found, expected })
}

fn failed(game: &str, cause: impl ToString) -> EnvError {
    EnvError::Emulator { game: game.to_owned(), cause: cause.to_string() }
}
