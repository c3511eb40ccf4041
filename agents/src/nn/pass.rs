//! Forward passes and the way back from a loss to the parameters.

use tch::{Device, Kind, Tensor};

use super::param_store::flatten_gradients;
use super::{NetworkError, Stages, WayBack};

/// A forward pass, to be differentiated.
pub(crate) struct Pass<T> {
    /// Output of the network for all rows.
    pub output: T,
    /// Where the output's graph ends; `None` if it reaches back to the first layer.
    cut: Option<Cut>,
}

/// Maps between the stages of a torso, where the graph of the second one ends.
struct Cut {
    /// All maps, `[N, M]`.
    joined: Tensor,
    /// The same with their ways back, `[n, M]` each.
    maps: Vec<KeptMaps>,
}

/// Output of a torso's first stage, with the way back through it.
pub(crate) struct KeptMaps {
    maps: Tensor,
    /// `None` if the maps have a graph.
    way_back: Option<Box<dyn WayBack>>,
}

impl<T> Pass<T> {
    /// Wraps an output whose graph reaches back to the first layer.
    pub fn whole(output: T) -> Self {
        Self { output, cut: None }
    }

    /// Evaluates the second stage on all of these maps, of which there must be some.
    pub fn of_maps(maps: Vec<KeptMaps>, second: impl FnOnce(&Tensor) -> T) -> Self {
        let parts: Vec<&Tensor> = maps.iter().map(KeptMaps::maps).collect();
        let joined = Tensor::cat(&parts, 0).detach().set_requires_grad(true); // [N, M]
        Self { output: second(&joined), cut: Some(Cut { joined, maps }) }
    }

    /// Computes the gradient of a scalar `loss` of the output for all parameters, flat `[P]`; to be
    /// called once. Uses up all graphs and does not touch `.grad`.
    pub fn gradient(
        &mut self,
        parameters: &[Tensor],
        loss: &Tensor,
    ) -> Result<Tensor, NetworkError> {
        let gradient = match self.cut.take() {
            None => Tensor::f_run_backward(&[loss], parameters, false, false)?,
            Some(cut) => cut.gradient(parameters, loss)?,
        };
        Ok(flatten_gradients(&gradient, parameters))
    }
}

impl Cut {
    /// Goes back through the second stage at once, then through the first one part by part.
    fn gradient(self, parameters: &[Tensor], loss: &Tensor) -> Result<Vec<Tensor>, NetworkError> {
        let mut inputs: Vec<&Tensor> = parameters.iter().collect();
        inputs.push(&self.joined);
        let mut sum = Tensor::f_run_backward(&[loss], &inputs, false, false)?;
        let Some(of_joined) = sum.pop() else { unreachable!("there is one gradient per input") };
        if !of_joined.defined() {
            return Ok(sum); // the loss does not depend on the torso
        }

        let mut row = 0;
        for part in self.maps {
            let rows = part.maps.size()[0];
            let of_part = of_joined.f_narrow(0, row, rows)?;
            row += rows;
            let found = part.gradient(&of_part, parameters)?;
            check_shapes(&found, parameters)?;
            for (sum, found) in sum.iter_mut().zip(found) {
                add(sum, found)?;
            }
        }
        Ok(sum)
    }
}

impl KeptMaps {
    /// Evaluates the first stage.
    pub fn of(stages: &dyn Stages, obs: &Tensor) -> Self {
        let maps_with_graph = || Self { maps: stages.maps(obs), way_back: None };
        Self::without_graph(stages, obs).unwrap_or_else(maps_with_graph)
    }

    /// Evaluates the first stage if it has a way back of its own.
    pub fn without_graph(stages: &dyn Stages, obs: &Tensor) -> Option<Self> {
        if obs.device() != Device::Cpu || obs.numel() == 0 {
            return None;
        }
        // A guard rather than `tch::no_grad`, which a panic would leave switched on for the thread.
        let _no_graph = tch::no_grad_guard();
        let (maps, way_back) = stages.maps_and_way_back(obs)?;
        Some(Self { maps, way_back: Some(way_back) })
    }

    /// Returns the maps, `[n, M]`.
    pub fn maps(&self) -> &Tensor {
        &self.maps
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

/// Adds a part of a gradient; an undefined one is 0.
fn add(sum: &mut Tensor, part: Tensor) -> Result<(), NetworkError> {
    match (sum.defined(), part.defined()) {
        // Not in place: autograd may hand out one tensor as the gradient of two parameters.
        (true, true) => *sum = sum.f_add(&part)?,
        (false, true) => *sum = part,
        (_, false) => {}
    }
    Ok(())
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
        let mut sums = [shared.shallow_clone(), shared];
        for sum in &mut sums {
            add(sum, Tensor::from_slice(&[1f32, 1.0])).unwrap();
        }
        assert!(sums.iter().all(|sum| *sum == Tensor::from_slice(&[2f32, 3.0])));
    }
}
