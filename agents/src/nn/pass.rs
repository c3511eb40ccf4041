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

    /// Computes the gradient of a scalar `loss` of the output for all parameters, flat `[P]`. Uses
    /// up all graphs and does not touch `.grad`.
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
        let Some(of_joined) = sum.pop() else { unreachable!("every input has a gradient") };

        let mut row = 0;
        for part in self.maps {
            let rows = part.maps.size()[0];
            let of_part = of_joined.f_narrow(0, row, rows)?;
            row += rows;
            // Those of the first stage come first; there may be no others.
            let found = part.gradient(&of_part, parameters)?;
            sum.iter_mut().zip(found).for_each(|(sum, found)| add(sum, found));
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
        if obs.device() != Device::Cpu {
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
fn add(sum: &mut Tensor, part: Tensor) {
    match (sum.defined(), part.defined()) {
        (true, true) => *sum = sum.g_add_(&part),
        (false, true) => *sum = part,
        (_, false) => {}
    }
}
