//! Forward passes and the way back from a loss to the parameters.

use tch::{Device, Kind, Tensor};

use super::param_store::flatten_gradients;
use super::{Linear, NetworkError, Stages, WayBack};

/// A forward pass, to be differentiated.
pub(crate) struct Pass<T> {
    /// Output of the network for all rows.
    pub output: T,
    /// Where the output's graph ends; `None` if it reaches back to the first layer.
    cut: Option<Cut>,
}

/// The features of a torso with stages, where the graph of the output ends.
struct Cut {
    /// All features, `[N, F]`.
    features: Tensor,
    /// Weight of the dense layer that they come from, `[F, M]`.
    weight: Tensor,
    /// Its bias, `[F]`.
    bias: Tensor,
    /// Its inputs.
    maps: Vec<KeptMaps>,
}

/// Output of a torso's stages.
pub(crate) struct KeptMaps {
    /// Of the first, `[n, M]`.
    maps: Tensor,
    /// Of the second, `[n, F]`.
    features: Tensor,
    /// Way back through the first; `None` if the maps have a graph.
    way_back: Option<Box<dyn WayBack>>,
}

impl<T> Pass<T> {
    /// Wraps an output whose graph reaches back to the first layer.
    pub fn whole(output: T) -> Self {
        Self { output, cut: None }
    }

    /// Evaluates the heads on the features of all these maps, of which there must be some. `dense`
    /// is the layer between them, with the weights that were used.
    pub fn of_maps(maps: Vec<KeptMaps>, dense: &Linear, heads: impl FnOnce(Tensor) -> T) -> Self {
        let parts: Vec<&Tensor> = maps.iter().map(|part| &part.features).collect();
        let features = Tensor::cat(&parts, 0).set_requires_grad(true); // [N, F]
        let output = heads(features.shallow_clone());
        let weight = dense.weight().detach();
        let bias = dense.bias().detach();
        Self { output, cut: Some(Cut { features, weight, bias, maps }) }
    }

    /// Computes the gradient of a scalar `loss` of the output for all parameters, flat `[P]`; to be
    /// called once. Uses up all graphs and does not touch `.grad`.
    pub fn gradient(
        &mut self,
        parameters: &[Tensor],
        loss: &Tensor,
    ) -> Result<Tensor, NetworkError> {
        match self.cut.take() {
            Some(cut) => cut.gradient(parameters, loss),
            None => {
                let gradients = Tensor::f_run_backward(&[loss], parameters, false, false)?;
                Ok(flatten_gradients(&gradients, parameters))
            }
        }
    }
}

impl Cut {
    /// Goes back through the heads and the dense layer for all rows at once, then through the first
    /// stage part by part.
    fn gradient(self, parameters: &[Tensor], loss: &Tensor) -> Result<Tensor, NetworkError> {
        let mut inputs: Vec<&Tensor> = parameters.iter().collect();
        inputs.push(&self.features);
        let mut of_inputs = Tensor::f_run_backward(&[loss], &inputs, false, false)?;
        let Some(of_features) = of_inputs.pop() else { unreachable!("one gradient per input") };

        let sum = FlatGradient::zeros(parameters)?;
        sum.add(&of_inputs)?;
        if of_features.defined() {
            let of_maps = self.dense_gradient(&of_features, parameters, &sum)?;
            add_first_stage(self.maps, &of_maps, parameters, &sum)?;
        } // else the loss does not depend on the torso
        Ok(sum.flat)
    }

    /// Writes the gradient of the dense layer to its place in `sum`, and returns that of the maps,
    /// `[N, M]`.
    fn dense_gradient(
        &self,
        of_features: &Tensor,
        parameters: &[Tensor],
        sum: &FlatGradient,
    ) -> Result<Tensor, NetworkError> {
        // The ReLU's: where a feature is 0, nothing goes back.
        let of_sums = self.features.detach().f_threshold_backward(of_features, 0.0)?; // [N, F]
        let parts: Vec<Tensor> = self.maps.iter().map(|part| part.maps.detach()).collect();
        let maps = Tensor::f_cat(&parts, 0)?; // [N, M]

        let place = |parameter: &Tensor| &sum.parts[index_of(parameter, parameters)];
        let _ = of_sums.f_tr()?.f_mm_out(place(&self.weight), &maps)?;
        let of_bias = of_sums.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
        place(&self.bias).shallow_clone().f_copy_(&of_bias)?;
        Ok(of_sums.f_mm(&self.weight)?)
    }
}

/// Goes back from the gradient of all maps, `[N, M]`, through each part's first stage.
fn add_first_stage(
    maps: Vec<KeptMaps>,
    of_maps: &Tensor,
    parameters: &[Tensor],
    sum: &FlatGradient,
) -> Result<(), NetworkError> {
    let mut row = 0;
    for part in maps {
        let rows = part.maps.size()[0];
        let of_part = of_maps.f_narrow(0, row, rows)?;
        row += rows;
        let found = part.gradient(&of_part, parameters)?;
        check_shapes(&found, parameters)?;
        sum.add(&found)?;
    }
    Ok(())
}

impl KeptMaps {
    /// Evaluates both stages; only the first with a graph, if it has no way back of its own.
    pub fn of(stages: &dyn Stages, obs: &Tensor) -> Self {
        Self::without_graph(stages, obs).unwrap_or_else(|| {
            let maps = stages.maps(obs);
            Self::with_features(stages, maps, None)
        })
    }

    /// Evaluates both stages if the first has a way back of its own.
    pub fn without_graph(stages: &dyn Stages, obs: &Tensor) -> Option<Self> {
        if obs.device() != Device::Cpu || obs.numel() == 0 {
            return None;
        }
        // A guard rather than `tch::no_grad`, which a panic would leave switched on for the thread.
        let _no_graph = tch::no_grad_guard();
        let (maps, way_back) = stages.maps_and_way_back(obs)?;
        Some(Self::with_features(stages, maps, Some(way_back)))
    }

    fn with_features(
        stages: &dyn Stages,
        maps: Tensor,
        way_back: Option<Box<dyn WayBack>>,
    ) -> Self {
        let _no_graph = tch::no_grad_guard();
        Self { features: stages.features_of(&maps), maps, way_back }
    }

    /// Returns the features, `[n, F]`.
    pub fn features(&self) -> Tensor {
        self.features.shallow_clone()
    }

    /// Goes back from the gradient of the maps, `[n, M]`, to those of all parameters, or of the
    /// first ones.
    fn gradient(
        self,
        of_maps: &Tensor,
        parameters: &[Tensor],
    ) -> Result<Vec<Tensor>, NetworkError> {
        match self.way_back {
            Some(way_back) => way_back.gradient(of_maps),
            None => {
                // The scalar whose gradient for the maps is `of_maps`.
                let scalar = (self.maps * of_maps).sum(Kind::Float);
                Ok(Tensor::f_run_backward(&[scalar], parameters, false, false)?)
            }
        }
    }
}

/// The gradient of all parameters.
struct FlatGradient {
    /// Flat `[P]`.
    flat: Tensor,
    /// Its parts in the shapes of the parameters, in the same memory.
    parts: Vec<Tensor>,
}

impl FlatGradient {
    fn zeros(parameters: &[Tensor]) -> Result<Self, NetworkError> {
        let counts: Vec<i64> =
            parameters.iter().map(|parameter| parameter.numel() as i64).collect();
        let device = parameters.first().map_or(Device::Cpu, Tensor::device);
        let flat = Tensor::f_zeros([counts.iter().sum::<i64>()], (Kind::Float, device))?;
        let parts = flat.f_split_with_sizes(&counts, 0)?;
        let parts = parts.iter().zip(parameters).map(|(part, parameter)| part.f_view_as(parameter));
        Ok(Self { parts: parts.collect::<Result<_, _>>()?, flat })
    }

    /// Adds gradients of the first parameters; an undefined one is 0.
    fn add(&self, gradients: &[Tensor]) -> Result<(), NetworkError> {
        for (part, gradient) in self.parts.iter().zip(gradients) {
            if gradient.defined() {
                let _ = part.shallow_clone().f_add_(gradient)?;
            }
        }
        Ok(())
    }
}

/// Returns the index of a parameter, which is known by its memory.
fn index_of(parameter: &Tensor, parameters: &[Tensor]) -> usize {
    let index = parameters.iter().position(|known| known.data_ptr() == parameter.data_ptr());
    index.unwrap_or_else(|| unreachable!("the dense layer is part of the network"))
}

/// Checks that gradients are those of the first parameters, as [`WayBack::gradient`] promises.
fn check_shapes(gradients: &[Tensor], parameters: &[Tensor]) -> Result<(), NetworkError> {
    let first = &parameters[..gradients.len().min(parameters.len())];
    let fits = |(gradient, parameter): (&Tensor, &Tensor)| {
        !gradient.defined() || gradient.size() == parameter.size()
    };
    if first.len() == gradients.len() && gradients.iter().zip(first).all(fits) {
        return Ok(());
    }
    let defined = gradients.iter().filter(|gradient| gradient.defined());
    Err(NetworkError::WrongWayBack {
        found: defined.map(Tensor::size).collect(),
        expected: first.iter().map(Tensor::size).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_other_shapes_are_refused() {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let parameters = [zeros(&[2, 3]), zeros(&[2]), zeros(&[4])];
        assert!(check_shapes(&[zeros(&[2, 3]), zeros(&[2])], &parameters).is_ok());
        assert!(check_shapes(&[Tensor::new(), zeros(&[2])], &parameters).is_ok());
        for wrong in [vec![zeros(&[2])], (0..4).map(|_| Tensor::new()).collect()] {
            let error = check_shapes(&wrong, &parameters).unwrap_err().to_string();
            assert!(error.starts_with("the torso's way back gives gradients"), "{error}");
        }
    }

    #[test]
    fn one_tensor_for_two_parameters_is_added_to_once() {
        let shared = Tensor::from_slice(&[1f32, 2.0]);
        let sum = FlatGradient::zeros(&[shared.zeros_like(), shared.zeros_like()]).unwrap();
        sum.add(&[shared.shallow_clone(), shared.shallow_clone()]).unwrap();
        sum.add(&[Tensor::new(), Tensor::from_slice(&[1f32, 1.0])]).unwrap();
        assert_eq!(sum.flat, Tensor::from_slice(&[1f32, 2.0, 2.0, 3.0]));
    }
}
