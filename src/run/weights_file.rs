//! Conversion of named tensors to and from the safetensors format, which PyTorch also uses.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, View};
use tch::{Kind, Tensor};

/// Error converting tensors to or from bytes.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFileError {
    /// The bytes are not a safetensors file, or are damaged.
    #[error("not valid safetensors: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The element type is one this program never writes.
    #[error("tensor `{name}` holds {dtype}; only f32, f16, f64, i64 and u8 are read")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// Its element type.
        dtype: String,
    },
}

struct HostTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for HostTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Serialises tensors as safetensors; equal tensors yield equal bytes.
pub fn to_bytes(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, WeightsFileError> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), to_host(name, tensor)?)))
        .collect::<Result<Vec<_>, WeightsFileError>>()?;
    // Python libraries check this entry for PyTorch's memory layout.
    let info = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(views, Some(info))?)
}

/// Parses tensors from safetensors bytes, sorted by name; `f16` becomes `f32`.
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, WeightsFileError> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let kind = kind_of(name, view.dtype())?;
        let size: Vec<i64> =
            view.shape().iter().map(|&length| length.try_into().unwrap_or(i64::MAX)).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &size, kind)?;
        // Networks compute in 32 bits; 16 save space in files.
        let tensor = if kind == Kind::Half { tensor.f_to_kind(Kind::Float)? } else { tensor };
        tensors.push((name.to_owned(), tensor));
    }
    // The reader iterates over a hash map, in another order every time.
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

fn to_host(name: &str, tensor: &Tensor) -> Result<HostTensor, WeightsFileError> {
    let kind = tensor.f_kind()?;
    let dtype = match kind {
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        Kind::Uint8 => Dtype::U8,
        other => {
            return Err(WeightsFileError::Dtype {
                name: name.to_owned(),
                dtype: format!("{other:?}"),
            });
        }
    };

    // Contiguous, because the format knows no strides.
    let host = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; host.numel() * kind.elt_size_in_bytes()];
    host.f_copy_data_u8(&mut bytes, host.numel())?;
    let shape =
        host.size().into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect();
    Ok(HostTensor { dtype, shape, bytes })
}

fn kind_of(name: &str, dtype: Dtype) -> Result<Kind, WeightsFileError> {
    match dtype {
        Dtype::F32 => Ok(Kind::Float),
        Dtype::F16 => Ok(Kind::Half),
        Dtype::F64 => Ok(Kind::Double),
        Dtype::I64 => Ok(Kind::Int64),
        Dtype::U8 => Ok(Kind::Uint8),
        other => {
            Err(WeightsFileError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_to_the_last_bit_in_any_layout() {
        let rows =
            Tensor::from_slice(&[1.0f32, -0.0, f32::MIN_POSITIVE, 3.5, 1e-42, 7.0]).reshape([2, 3]);
        let tensors = vec![
            ("b.transposed".to_owned(), rows.transpose(0, 1)),
            ("a.scalar".to_owned(), Tensor::from(5i64)),
            ("c.empty".to_owned(), Tensor::zeros([0, 4], (Kind::Float, tch::Device::Cpu))),
        ];
        let back = from_bytes(&to_bytes(&tensors).unwrap()).unwrap();
        let names: Vec<&str> = back.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.scalar", "b.transposed", "c.empty"]);
        assert_eq!(back[1].1.size(), [3, 2]);
        assert!(back[1].1.equal(&rows.transpose(0, 1)));
        assert_eq!(back[0].1.int64_value(&[]), 5);
    }

    #[test]
    fn the_same_tensors_give_the_same_bytes() {
        let make = || {
            vec![
                ("w".to_owned(), Tensor::from_slice(&[1.0f32, 2.0])),
                ("b".to_owned(), Tensor::from(1.0f64)),
            ]
        };
        assert_eq!(to_bytes(&make()).unwrap(), to_bytes(&make()).unwrap());
    }

    #[test]
    fn sixteen_bits_are_read_as_thirty_two() {
        let half = Tensor::from_slice(&[1.0f32, 0.1, -65504.0]).to_kind(Kind::Half);
        let bytes = to_bytes(&[("h".to_owned(), half.shallow_clone())]).unwrap();
        let back = from_bytes(&bytes).unwrap();
        assert_eq!(back[0].1.kind(), Kind::Float);
        assert!(back[0].1.equal(&half.to_kind(Kind::Float)));
    }

    #[test]
    fn other_number_types_and_garbage_are_named() {
        let short = vec![("h".to_owned(), Tensor::from_slice(&[1.0f32]).to_kind(Kind::BFloat16))];
        assert!(to_bytes(&short).unwrap_err().to_string().contains("`h`"));
        assert!(from_bytes(b"hello").unwrap_err().to_string().contains("safetensors"));
    }
}
