//! The elements of tensors on a CPU as slices, for loops that take one pass where libtorch takes
//! several.

use std::slice;

use tch::{Device, Kind, Tensor};

/// Returns the elements of a contiguous `f32` tensor on the CPU.
///
/// # Panics
/// For any other tensor, or one without elements.
pub(super) fn floats(tensor: &Tensor) -> &[f32] {
    let start = start_of(tensor, Kind::Float).cast::<f32>();
    // SAFETY: libtorch holds `numel` aligned numbers at `start` while the tensor lives, and any bits
    // are a number. As with libtorch's own operations, nothing writes them meanwhile.
    unsafe { slice::from_raw_parts(start, tensor.numel()) }
}

/// Returns the elements of a contiguous `f32` tensor on the CPU, to be written. Unlike libtorch's
/// operations in place, this is not noticed by a graph that still needs the old values.
///
/// # Safety
/// No other slice of these elements may exist while this one does, and nothing else may use the
/// tensor, or another one in its memory.
///
/// # Panics
/// As [`floats`].
#[allow(clippy::mut_from_ref, reason = "a tensor's elements change behind shared references too")]
pub(super) unsafe fn floats_mut(tensor: &Tensor) -> &mut [f32] {
    let start = start_of(tensor, Kind::Float).cast::<f32>();
    // SAFETY: as in `floats`; that there is no other slice is up to the caller.
    unsafe { slice::from_raw_parts_mut(start, tensor.numel()) }
}

/// Returns the elements of a contiguous `u8` tensor on the CPU.
///
/// # Panics
/// As [`floats`].
pub(super) fn bytes(tensor: &Tensor) -> &[u8] {
    let start = start_of(tensor, Kind::Uint8).cast::<u8>();
    // SAFETY: as in `floats`.
    unsafe { slice::from_raw_parts(start, tensor.numel()) }
}

fn start_of(tensor: &Tensor, kind: Kind) -> *mut std::ffi::c_void {
    assert!(tensor.device() == Device::Cpu && tensor.kind() == kind && tensor.is_contiguous());
    // A tensor without elements may have no memory, but a slice is never at null.
    assert!(tensor.numel() > 0, "a tensor without elements");
    tensor.data_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_those_of_the_tensor_and_writing_changes_it() {
        let tensor = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]);
        // SAFETY: the only slice of it.
        unsafe { floats_mut(&tensor.get(1))[0] = 7.0 };
        assert_eq!(floats(&tensor), [1.0, 2.0, 7.0, 4.0]);
        assert_eq!(bytes(&Tensor::from_slice(&[3u8, 255])), [3, 255]);
    }

    #[test]
    #[should_panic(expected = "is_contiguous")]
    fn a_transposed_tensor_is_refused() {
        floats(&Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]).tr());
    }
}
