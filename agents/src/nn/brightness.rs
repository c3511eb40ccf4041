//! A control torso with no access to position.

use tch::{Kind, Tensor};

use super::{BuiltTorso, Init, Linear, ParamScope, Torso, scale_pixels};

const FEATURES: i64 = 512;

/// Mean brightness of each stacked frame, a dense layer and a ReLU. A policy on top of it cannot
/// use positions: a benchmark on which it ties with other torsos does not measure their vision.
#[derive(Debug)]
struct Brightness {
    fc: Linear,
}

impl Torso for Brightness {
    fn forward(&self, obs: &Tensor) -> Tensor {
        let brightness = scale_pixels(obs).mean_dim(&[2i64, 3][..], false, Kind::Float); // [N, C]
        self.fc.forward(&brightness).relu() // [N, F]
    }

    fn features(&self) -> i64 {
        FEATURES
    }
}

pub(super) fn build_brightness(
    scope: &mut ParamScope<'_>,
    [channels, _, _]: [usize; 3],
) -> BuiltTorso {
    let fc = Linear::build(scope, "torso.fc", channels as i64, FEATURES, Init::BEFORE_RELU)?;
    Ok(Box::new(Brightness { fc }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ParamStore;
    use tch::Device;

    #[test]
    fn pictures_with_the_same_pixels_in_other_places_look_the_same() {
        let mut store = ParamStore::new(1, Device::Cpu);
        let torso = build_brightness(&mut ParamScope::new(&mut store), [4, 8, 8]).unwrap();
        let obs = Tensor::randint(256, [1, 4, 8, 8], (Kind::Uint8, Device::Cpu));
        let features = torso.forward(&obs);
        let moved = torso.forward(&obs.flip([2, 3]));
        assert!(features.allclose(&moved, 1e-5, 1e-6, false));
        assert!(!features.allclose(&torso.forward(&(obs / 2)), 1e-5, 1e-6, false));
    }
}
