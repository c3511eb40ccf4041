//! Versioned MessagePack for saved or transmitted data.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::AgentError;

/// Envelope whose content is decoded only if the version is known.
#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    content: ByteBuf,
}

/// The version field alone, readable whatever follows.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Encodes `content` behind its layout version.
pub(crate) fn encode(version: u32, content: &impl Serialize) -> Result<Vec<u8>, AgentError> {
    let content = ByteBuf::from(to_vec(content)?);
    to_vec(&Versioned { version, content })
}

/// Decodes the output of [`encode`], from this process or another; `what` names it in errors.
pub(crate) fn decode<T: DeserializeOwned>(
    what: &str,
    version: u32,
    bytes: &[u8],
) -> Result<T, AgentError> {
    // The version is read on its own, so that another layout is not reported as damage.
    let Version { version: found } = from_slice(what, bytes)?;
    if found != version {
        return Err(bad(format!("{what}: it is of version {found}; this build reads {version}")));
    }
    let Versioned { content, .. } = from_slice(what, bytes)?;
    from_slice(what, &content)
}

fn to_vec(content: &impl Serialize) -> Result<Vec<u8>, AgentError> {
    rmp_serde::to_vec_named(content).map_err(|error| bad(format!("it cannot be written: {error}")))
}

fn from_slice<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, AgentError> {
    rmp_serde::from_slice(bytes).map_err(|error| bad(format!("{what}: it does not parse: {error}")))
}

/// Returns the error for a state that cannot be used.
pub(crate) fn bad(reason: String) -> AgentError {
    AgentError::State { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_named_whatever_its_content_is() {
        let versioned = encode(2, &[1.5f64, 2.5]).unwrap();
        assert_eq!(decode::<Vec<f64>>("it", 2, &versioned).unwrap(), [1.5, 2.5]);
        let error = decode::<String>("weights", 1, &versioned).unwrap_err().to_string();
        assert!(error.contains("weights: it is of version 2; this build reads 1"), "{error}");
    }

    #[test]
    fn a_message_cut_short_anywhere_is_an_error() {
        let whole = encode(1, &vec![7u64; 9]).unwrap();
        for end in 0..whole.len() {
            assert!(decode::<Vec<u64>>("it", 1, &whole[..end]).is_err(), "{end} bytes");
        }
    }
}
