//! From bytes to the numbers that networks see.

use tch::{Device, Kind, Tensor};

use super::elements::{bytes, floats_mut};

/// Scales `u8` pixels to `f32` in [0, 1] and converts them to channels-last; `[N, C, H, W]` in and
/// out.
pub fn scale_pixels(obs: &Tensor) -> Tensor {
    let stacked = obs.device() == Device::Cpu && obs.kind() == Kind::Uint8;
    let scaled = match obs.size()[..] {
        [rows, 4, height, width] if stacked && rows > 0 => {
            let scaled = Tensor::empty([rows, height, width, 4], (Kind::Float, Device::Cpu));
            // SAFETY: nobody else knows the new tensor.
            let numbers = unsafe { floats_mut(&scaled) };
            scale_four_channels(bytes(&obs.contiguous()), numbers, height * width);
            scaled
        }
        // Moved while pixels are still bytes.
        _ => obs.permute([0, 2, 3, 1]).contiguous().to_kind(Kind::Float) / 255.0,
    }; // [N, H, W, C]
    scaled.permute([0, 3, 1, 2]) // [N, C, H, W]
}

/// Scales observations of four frames, the usual number, in one pass: `[N, 4, pixels]` in,
/// `[N, pixels, 4]` out.
fn scale_four_channels(obs: &[u8], scaled: &mut [f32], pixels: i64) {
    let pixels = pixels as usize;
    for (row, scaled) in obs.chunks_exact(4 * pixels).zip(scaled.chunks_exact_mut(4 * pixels)) {
        let (first, second) = row.split_at(2 * pixels);
        let ((a, b), (c, d)) = (first.split_at(pixels), second.split_at(pixels));
        let places = a.iter().zip(b).zip(c).zip(d);
        for (scaled, (((a, b), c), d)) in scaled.chunks_exact_mut(4).zip(places) {
            scaled.copy_from_slice(&[*a, *b, *c, *d].map(|pixel| f32::from(pixel) / 255.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_scaled_to_one_and_keep_their_places() {
        for channels in [3, 4] {
            let obs = Tensor::randint(256, [2, channels, 4, 5], (Kind::Uint8, Device::Cpu));
            let scaled = scale_pixels(&obs);
            assert_eq!(scaled, obs.to_kind(Kind::Float) / 255.0);
            let channels_last = [20 * channels, 1, 5 * channels, channels];
            assert_eq!(scaled.stride(), channels_last);
            let turned = obs.transpose(2, 3);
            assert_eq!(
                scale_pixels(&turned),
                turned.to_kind(Kind::Float) / 255.0,
                "not contiguous"
            );
        }
        let none = Tensor::empty([0, 4, 4, 5], (Kind::Uint8, Device::Cpu));
        assert_eq!(scale_pixels(&none).size(), [0, 4, 4, 5]);
    }
}
