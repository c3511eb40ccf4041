//! The envelope around every saved state: version, game, checksum, compression.
//!
//! Emulator code trusts the bytes it restores from, so none reach it before the checksum is
//! verified. Custom environments can use it too: [`pack`] accepts anything that serde serialises.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::EnvError;

/// Leading bytes of a saved state; the digit is the layout version.
const MAGIC: &[u8; 8] = b"CRLENV1\n";

/// Packs `state` of `game` for [`Env::save_state`](crate::Env::save_state).
pub fn pack<T: Serialize>(game: &str, state: &T) -> Result<Vec<u8>, EnvError> {
    // Fields carry their names, so reordering them in a struct does not misread old states.
    let body =
        rmp_serde::to_vec_named(&(game, state)).map_err(|error| bad(game, error.to_string()))?;
    let body = lz4_flex::compress_prepend_size(&body);
    let mut packed = Vec::with_capacity(MAGIC.len() + 4 + body.len());
    packed.extend_from_slice(MAGIC);
    packed.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    packed.extend_from_slice(&body);
    Ok(packed)
}

/// Unpacks bytes from [`pack`], for [`Env::load_state`](crate::Env::load_state).
///
/// # Errors
/// If the bytes are damaged, of another version or of another game.
pub fn unpack<T: DeserializeOwned>(game: &str, packed: &[u8]) -> Result<T, EnvError> {
    let rest =
        packed.strip_prefix(MAGIC).ok_or_else(|| bad(game, "not a state of this version"))?;
    let (checksum, body) =
        rest.split_first_chunk::<4>().ok_or_else(|| bad(game, "it is cut short"))?;
    // Checked before decompression: a damaged length could request any amount of memory.
    if u32::from_le_bytes(*checksum) != crc32fast::hash(body) {
        return Err(bad(game, "its checksum does not fit: the bytes are damaged"));
    }

    let body =
        lz4_flex::decompress_size_prepended(body).map_err(|error| bad(game, error.to_string()))?;
    // Read the name on its own first: another game's state may have a different layout.
    let (of, rest): (String, serde::de::IgnoredAny) =
        rmp_serde::from_slice(&body).map_err(|error| bad(game, error.to_string()))?;
    let _ = rest;
    if of != game {
        return Err(bad(game, format!("it is a state of `{of}`")));
    }

    let (_, state): (String, T) =
        rmp_serde::from_slice(&body).map_err(|error| bad(game, error.to_string()))?;
    Ok(state)
}

pub(crate) fn bad(game: &str, reason: impl Into<String>) -> EnvError {
    EnvError::BadState { game: game.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let packed = pack("pong", &vec![7u8; 40]).unwrap();
        assert_eq!(unpack::<Vec<u8>>("pong", &packed).unwrap(), vec![7u8; 40]);
        for byte in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[byte] ^= 1;
            assert!(unpack::<Vec<u8>>("pong", &damaged).is_err(), "byte {byte}");
            assert!(unpack::<Vec<u8>>("pong", &packed[..byte]).is_err(), "cut at {byte}");
        }
    }

    #[test]
    fn a_state_of_another_game_or_layout_is_refused_by_name() {
        let packed = pack("pong", &1u8).unwrap();
        let error = unpack::<u8>("breakout", &packed).unwrap_err().to_string();
        assert!(error.contains("state of `pong`"), "{error}");
        assert!(unpack::<String>("pong", &packed).is_err());
    }
}
