//! Named network parameters in one contiguous block of memory.

use coordrl_envs::rng::Rng;
use tch::{Device, Kind, Tensor};

use super::init::rng_of;
use super::{Init, NetworkError};

/// Named tensors in a fixed order: the format for saving weights and optimiser state.
pub type NamedTensors = Vec<(String, Tensor)>;

/// Owns the parameters shared by one or more networks.
///
/// The first network built from a store initialises its parameters; every later one with the same
/// names reads the *same* memory through its own tensors (a [`Tensor`] is `Send` but not `Sync`, so
/// each thread needs its own network). [`ParamStore::pack`] moves everything into one flat tensor,
/// so that the optimiser and the gradient norm take a few operations in total instead of a few per
/// layer.
#[derive(Debug)]
pub struct ParamStore {
    seed: u64,
    device: Device,
    kind: Kind,
    params: Vec<Param>,
    /// Untrained state saved with the weights: running statistics and drawn coordinate channels.
    buffers: Vec<Param>,
    flat: Option<Tensor>,
    /// Creates parameters as zeros of the right shape, because drawing them takes a second.
    only_shapes: bool,
}

#[derive(Debug)]
struct Param {
    name: String,
    values: Tensor,
}

impl Param {
    fn flat(&self) -> Result<Tensor, NetworkError> {
        Ok(self.values.f_view([-1])?)
    }
}

impl ParamStore {
    /// Creates an empty store; initial values are derived from `seed` and each parameter's name.
    pub fn new(seed: u64, device: Device) -> Self {
        Self {
            seed,
            device,
            kind: Kind::Float,
            params: Vec::new(),
            buffers: Vec::new(),
            flat: None,
            only_shapes: false,
        }
    }

    /// Creates a store whose parameters have shapes but no drawn values: to check whether a network
    /// can be built, or for parameters that are about to be overwritten.
    pub(crate) fn of_shapes(device: Device) -> Self {
        Self { only_shapes: true, ..Self::new(0, device) }
    }

    /// Creates an empty store whose tensors have another element type than `f32`: `f64` to compare a
    /// network with a reference to more digits.
    ///
    /// Checkpoints and transfers between threads are of `f32` only.
    pub fn of_kind(kind: Kind, seed: u64, device: Device) -> Self {
        Self { kind, ..Self::new(seed, device) }
    }

    /// Returns the parameters' device.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Returns the number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.params.iter().map(|param| param.values.numel() as u64).sum()
    }

    /// Packs all parameters into one flat tensor, `[P]`, in the order of their first request.
    /// In-place changes affect every network built after packing.
    pub fn pack(&mut self) -> Result<Tensor, NetworkError> {
        if let Some(flat) = &self.flat {
            return Ok(flat.shallow_clone());
        }

        let pieces: Vec<Tensor> = self.params.iter().map(|param| param.values.view(-1)).collect();
        let flat = Tensor::f_cat(&pieces, 0)?; // [P]
        let mut start = 0;
        for param in &mut self.params {
            let shape = param.values.size();
            let count = param.values.numel() as i64;
            param.values = flat.narrow(0, start, count).view(&shape[..]);
            start += count;
        }

        self.flat = Some(flat.shallow_clone());
        Ok(flat)
    }

    /// Builds `count` networks of one kind on this store, which has no parameters yet, and packs
    /// them. Returns the flat parameters of [`ParamStore::pack`] and the networks.
    pub(crate) fn build_packed<N>(
        &mut self,
        count: usize,
        build: impl Fn(&mut Self) -> Result<N, NetworkError>,
    ) -> Result<(Tensor, Vec<N>), NetworkError> {
        // The first network creates the parameters. It is dropped, because its own tensors keep the
        // memory from before packing.
        build(self)?;
        let flat = self.pack()?;
        let networks = (0..count).map(|_| build(self)).collect::<Result<_, _>>()?;
        Ok((flat, networks))
    }

    /// Copies all parameters, then all buffers, to the CPU.
    pub fn to_named(&self) -> NamedTensors {
        // `to_device` does not copy on a CPU: without `copy`, later updates would change the
        // result.
        self.all()
            .map(|param| (param.name.clone(), param.values.to_device(Device::Cpu).copy()))
            .collect()
    }

    /// Copies all parameters, then all buffers, into a flat vector for transfer to another thread
    /// or machine with [`ParamStore::load_flat`].
    pub fn to_flat(&self) -> Result<Vec<f32>, NetworkError> {
        let mut numbers = Vec::new();
        self.write_flat(&mut numbers)?;
        Ok(numbers)
    }

    /// Writes [`ParamStore::to_flat`] into an existing vector, replacing its content and reusing
    /// its allocation.
    pub fn write_flat(&self, numbers: &mut Vec<f32>) -> Result<(), NetworkError> {
        numbers.resize(self.count(), 0.0);
        let mut rest = numbers.as_mut_slice();
        for values in self.stretches()? {
            let (own, others) = rest.split_at_mut(values.numel());
            values.f_to_device(Device::Cpu)?.f_copy_data(own, own.len())?;
            rest = others;
        }
        Ok(())
    }

    /// Overwrites the parameters and buffers in place with [`ParamStore::to_flat`] of the same
    /// network.
    ///
    /// # Errors
    /// If the number of values differs from this store's; nothing is changed then.
    pub fn load_flat(&mut self, numbers: &[f32]) -> Result<(), NetworkError> {
        self.check_count(numbers.len())?;
        let mut rest = numbers;
        for values in self.stretches()? {
            let (own, others) = rest.split_at(values.numel());
            write_pieces(&values, own)?;
            rest = others;
        }
        Ok(())
    }

    /// Overwrites the parameters and buffers in place with those of `other`, a store of the same
    /// network, on the same device.
    pub fn copy_from(&mut self, other: &Self) -> Result<(), NetworkError> {
        self.check_count(other.count())?;
        // All shapes are checked before the first copy, so that an error leaves the store
        // unchanged.
        for (own, theirs) in self.all().zip(other.all()) {
            check_shape(&own.name, &own.values.size(), &theirs.values.size())?;
        }
        for (own, theirs) in self.params.iter_mut().chain(&mut self.buffers).zip(other.all()) {
            // Needs no guard: only the networks' leaves require gradients, not the store's own
            // tensors.
            own.values.f_copy_(&theirs.values)?;
        }
        Ok(())
    }

    /// Returns `true` if every parameter and buffer is finite.
    pub fn is_finite(&self) -> bool {
        self.all().all(|param| is_finite(&param.values))
    }

    /// Checks that `weights` has exactly this store's names and shapes, in any order.
    pub fn check(&self, weights: &[(String, Tensor)]) -> Result<(), NetworkError> {
        for param in self.all() {
            let (_, values) = weights
                .iter()
                .find(|(name, _)| *name == param.name)
                .ok_or_else(|| NetworkError::MissingParameter { name: param.name.clone() })?;
            check_shape(&param.name, &param.values.size(), &values.size())?;
        }
        match weights.iter().find(|(name, _)| self.all().all(|param| param.name != *name)) {
            Some((name, _)) => Err(NetworkError::UnknownParameter { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Overwrites the parameters in place; changes nothing if [`ParamStore::check`] fails.
    pub fn load(&mut self, weights: &[(String, Tensor)]) -> Result<(), NetworkError> {
        self.check(weights)?;
        for (name, values) in weights {
            let stored =
                self.params.iter_mut().chain(&mut self.buffers).find(|param| param.name == *name);
            if let Some(param) = stored {
                param.values.f_copy_(values)?;
            }
        }
        Ok(())
    }

    /// Returns the number of values in all parameters and buffers.
    fn count(&self) -> usize {
        self.all().map(|param| param.values.numel()).sum()
    }

    fn check_count(&self, found: usize) -> Result<(), NetworkError> {
        let expected = self.count();
        if found == expected { Ok(()) } else { Err(NetworkError::WrongCount { expected, found }) }
    }

    /// Returns all parameters, then all buffers, as the smallest number of flat tensors: each copy
    /// to or from a GPU waits for all work queued before it.
    fn stretches(&self) -> Result<Vec<Tensor>, NetworkError> {
        let mut stretches = match &self.flat {
            Some(flat) => vec![flat.shallow_clone()],
            None => self.params.iter().map(Param::flat).collect::<Result<_, _>>()?,
        };
        stretches.extend(self.buffers.iter().map(Param::flat).collect::<Result<Vec<_>, _>>()?);
        Ok(stretches)
    }

    fn all(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().chain(&self.buffers)
    }

    /// Moves values to the store's device and element type.
    fn place(&self, values: &Tensor) -> Result<Tensor, NetworkError> {
        Ok(values.f_to_device(self.device)?.f_to_kind(self.kind)?)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|param| param.name == name)
    }

    fn get_or_init(
        &mut self,
        name: &str,
        shape: &[i64],
        init: Init,
        zeros: i64,
    ) -> Result<usize, NetworkError> {
        if let Some(index) = self.position(name) {
            check_shape(name, shape, &self.params[index].values.size())?;
            return Ok(index);
        }

        // A packed store cannot grow: networks already share its flat tensor.
        if self.flat.is_some() {
            return Err(NetworkError::UnknownParameter { name: name.to_owned() });
        }

        let init = if self.only_shapes { Init::Zeros } else { init };
        let values = self.place(&init.values_with_zeros(self.seed, name, shape, zeros)?)?;
        self.params.push(Param { name: name.to_owned(), values });
        Ok(self.params.len() - 1)
    }

    fn get_or_init_buffer(
        &mut self,
        name: &str,
        shape: &[i64],
        make: impl FnOnce(u64) -> Result<Tensor, NetworkError>,
    ) -> Result<Tensor, NetworkError> {
        if let Some(buffer) = self.buffers.iter().find(|buffer| buffer.name == name) {
            check_shape(name, shape, &buffer.values.size())?;
            return Ok(buffer.values.detach());
        }
        // Contiguous, because `stretches` views buffers as flat tensors.
        let values = self.place(&make(self.seed)?.f_contiguous()?)?;
        check_shape(name, shape, &values.size())?;
        let shared = values.detach();
        self.buffers.push(Param { name: name.to_owned(), values });
        Ok(shared)
    }
}

/// Returns `true` if every element of `tensor` is finite.
pub(crate) fn is_finite(tensor: &Tensor) -> bool {
    tensor.isfinite().all().int64_value(&[]) == 1
}

fn check_shape(name: &str, expected: &[i64], found: &[i64]) -> Result<(), NetworkError> {
    if expected == found {
        return Ok(());
    }
    Err(NetworkError::WrongShape {
        name: name.to_owned(),
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}

/// Collects the parameters of one network while it is being built.
#[derive(Debug)]
pub struct ParamScope<'a> {
    store: &'a mut ParamStore,
    leaves: Vec<(usize, Tensor)>,
}

impl<'a> ParamScope<'a> {
    /// Creates a scope for one network on the parameters of `store`.
    pub fn new(store: &'a mut ParamStore) -> Self {
        Self { store, leaves: Vec::new() }
    }

    /// Returns the parameter `name`, initialised by `init` if the store does not have it yet.
    ///
    /// The tensor shares the store's memory and requires gradients. Repeated requests return the
    /// same one. Torso parameters are named `torso.…`.
    pub fn get(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, NetworkError> {
        self.get_with_zeros(name, shape, init, 0)
    }

    /// Returns [`ParamScope::get`] with initial weights of 0 for the last `zeros` inputs, counted
    /// along dimension 1.
    pub fn get_with_zeros(
        &mut self,
        name: &str,
        shape: &[i64],
        init: Init,
        zeros: i64,
    ) -> Result<Tensor, NetworkError> {
        let index = self.store.get_or_init(name, shape, init, zeros)?;
        if let Some((_, leaf)) = self.leaves.iter().find(|(known, _)| *known == index) {
            return Ok(leaf.shallow_clone());
        }
        // Detached: a separate tensor object on the shared memory, owned by this network alone.
        let leaf = self.store.params[index].values.detach().set_requires_grad(true);
        self.leaves.push((index, leaf.shallow_clone()));
        Ok(leaf)
    }

    /// Returns a tensor saved with the parameters but not trained, such as running statistics.
    ///
    /// It shares the store's memory: in-place changes by one network are visible to all.
    pub fn buffer(
        &mut self,
        name: &str,
        shape: &[i64],
        init: Init,
    ) -> Result<Tensor, NetworkError> {
        self.store.get_or_init_buffer(name, shape, |seed| init.values(seed, name, shape))
    }

    /// Returns a buffer initialised by `draw`, with a generator derived from the store's seed and
    /// `name`.
    pub fn drawn_buffer(
        &mut self,
        name: &str,
        shape: &[i64],
        draw: impl FnOnce(&mut Rng) -> Tensor,
    ) -> Result<Tensor, NetworkError> {
        self.store.get_or_init_buffer(name, shape, |seed| Ok(draw(&mut rng_of(seed, name))))
    }

    /// Moves an untrained tensor to the parameters' device and element type.
    pub fn constant(&self, values: Tensor) -> Result<Tensor, NetworkError> {
        self.store.place(&values)
    }

    /// Returns the network's parameters in the store's order.
    ///
    /// # Errors
    /// If the network did not request a parameter that an earlier network on this store has.
    pub fn into_leaves(mut self) -> Result<Vec<Tensor>, NetworkError> {
        // Gradients are flattened in the order of the packed tensor, whatever the order of
        // requests.
        self.leaves.sort_by_key(|(index, _)| *index);
        for (index, param) in self.store.params.iter().enumerate() {
            if self.leaves.get(index).is_none_or(|(found, _)| *found != index) {
                return Err(NetworkError::MissingParameter { name: param.name.clone() });
            }
        }
        Ok(self.leaves.into_iter().map(|(_, leaf)| leaf).collect())
    }
}

/// Concatenates the gradients of one network's parameters into a flat tensor `[P]`, in the order of
/// [`ParamStore::pack`]. A parameter that does not contribute to the loss has gradient 0.
pub fn flatten_gradients(gradients: &[Tensor], parameters: &[Tensor]) -> Tensor {
    let pieces: Vec<Tensor> = gradients
        .iter()
        .zip(parameters)
        .map(|(gradient, parameter)| match gradient.defined() {
            // Not `view`, which fails if libtorch returns the gradient channels-last.
            true => gradient.reshape([-1]),
            false => parameter.zeros_like().view(-1),
        })
        .collect();
    Tensor::cat(&pieces, 0).to_kind(Kind::Float) // [P]
}

/// Values per copy into a CPU tensor. A temporary copy of all weights, allocated and freed by every
/// actor, would stay in its thread's allocator cache.
const PIECE: usize = 1 << 16;

/// Overwrites `values`, `[P]`, with the same number of values.
fn write_pieces(values: &Tensor, numbers: &[f32]) -> Result<(), NetworkError> {
    // `chunks` panics on a length of 0, which a store without parameters would have.
    let length = if values.device() == Device::Cpu { PIECE } else { numbers.len().max(1) };
    for (index, piece) in numbers.chunks(length).enumerate() {
        let start = (index * length) as i64;
        let mut place = values.f_narrow(0, start, piece.len() as i64)?;
        place.f_copy_(&Tensor::f_from_slice(piece)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> ParamStore {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let _ = scope.get("a", &[2, 3], Init::Orthogonal { gain: 1.0 }).unwrap();
        let _ = scope.get("b", &[4], Init::Zeros).unwrap();
        store
    }

    #[test]
    fn networks_on_a_packed_store_share_its_memory() {
        let mut store = store();
        let before = store.to_named();
        let mut flat = store.pack().unwrap();
        assert_eq!(store.parameter_count(), 10);
        assert_eq!(store.to_named(), before);
        let b = ParamScope::new(&mut store).get("b", &[4], Init::Zeros).unwrap();
        let _ = flat.fill_(7.0);
        assert_eq!(Vec::<f32>::try_from(b.detach()).unwrap(), [7.0; 4]);
        assert_eq!(before[1].1, Tensor::from_slice(&[0f32; 4])); // copies are unaffected
    }

    #[test]
    fn a_repeated_name_is_the_same_parameter_and_one_left_out_is_found() {
        let mut store = store();
        let mut scope = ParamScope::new(&mut store);
        let _ = scope.get("b", &[4], Init::Zeros).unwrap();
        let _ = scope.get("b", &[4], Init::Zeros).unwrap();
        let error = scope.into_leaves().unwrap_err();
        assert_eq!(error.to_string(), "parameter `a` is missing");
    }

    #[test]
    fn buffers_are_saved_and_shared_but_not_trained() {
        let mut store = store();
        let mut first = ParamScope::new(&mut store).buffer("mean", &[2], Init::Ones).unwrap();
        let _ = store.pack().unwrap();
        let second = ParamScope::new(&mut store).buffer("mean", &[2], Init::Ones).unwrap();
        let _ = first.fill_(3.0);
        assert_eq!(second, first);
        assert_eq!(store.parameter_count(), 10);
        let mut named = store.to_named();
        assert_eq!((named[2].0.as_str(), &named[2].1), ("mean", &first));
        named[2].1 = Tensor::from_slice(&[5f32, 6.0]);
        store.load(&named).unwrap();
        assert_eq!(Vec::<f32>::try_from(&second).unwrap(), [5.0, 6.0]);
        let _ = named.remove(2);
        assert_eq!(store.load(&named).unwrap_err().to_string(), "parameter `mean` is missing");
    }

    #[test]
    fn shapes_and_names_that_do_not_fit_are_named() {
        let mut store = store();
        let mut scope = ParamScope::new(&mut store);
        let error = scope.get("b", &[5], Init::Zeros).unwrap_err();
        assert_eq!(error.to_string(), "parameter `b` is [4], not [5]");
        let _ = store.pack().unwrap();
        let error = ParamScope::new(&mut store).get("c", &[1], Init::Zeros).unwrap_err();
        assert_eq!(error.to_string(), "parameter `c` is not one of this network's");

        let mut weights = store.to_named();
        weights[0].1 = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
        let error = store.load(&weights).unwrap_err();
        assert_eq!(error.to_string(), "parameter `a` is [3, 2], not [2, 3]");
        let _ = weights.remove(0);
        let error = store.load(&weights).unwrap_err();
        assert_eq!(error.to_string(), "parameter `a` is missing");
        let mut weights = store.to_named();
        weights.push(("z".into(), Tensor::from(0.0)));
        let error = store.load(&weights).unwrap_err();
        assert_eq!(error.to_string(), "parameter `z` is not one of this network's");
    }

    #[test]
    fn loading_does_not_care_for_order() {
        let mut store = store();
        let mut flat = None;
        let mut weights = store.to_named();
        weights.reverse();
        weights[0].1 = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]);
        let _ = flat.insert(store.pack().unwrap());
        store.load(&weights).unwrap();
        let tail = flat.unwrap().narrow(0, 6, 4);
        assert_eq!(Vec::<f32>::try_from(tail).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn flat_numbers_and_copies_carry_buffers_too() {
        let mut from = store();
        let mut mean = ParamScope::new(&mut from).buffer("mean", &[2], Init::Ones).unwrap();
        let _ = mean.fill_(3.0);
        let flat = from.to_flat().unwrap();
        assert_eq!(flat.len(), 12);
        assert_eq!(flat[10..], [3.0, 3.0]);

        let empty = || {
            let mut to = ParamStore::of_shapes(Device::Cpu);
            let mut scope = ParamScope::new(&mut to);
            let _ = scope.get("a", &[2, 3], Init::Ones).unwrap();
            let _ = scope.get("b", &[4], Init::Ones).unwrap();
            let _ = scope.buffer("mean", &[2], Init::Zeros).unwrap();
            to
        };

        let mut loaded = empty();
        let mut copied = empty();
        let packed = loaded.pack().unwrap(); // before loading: it must not reallocate
        loaded.load_flat(&flat).unwrap();
        copied.copy_from(&from).unwrap();
        assert_eq!(loaded.to_named(), from.to_named());
        assert_eq!(copied.to_named(), from.to_named());
        assert_eq!(Vec::<f32>::try_from(packed).unwrap(), flat[..10]);
        let error = loaded.load_flat(&flat[..9]).unwrap_err();
        assert_eq!(error.to_string(), "9 numbers are not the 12 of this network's parameters");
        let mut other = ParamStore::new(1, Device::Cpu);
        let _ = ParamScope::new(&mut other).get("a", &[3, 2], Init::Ones).unwrap();
        let error = copied.copy_from(&other).unwrap_err();
        assert_eq!(error.to_string(), "6 numbers are not the 12 of this network's parameters");
        let _ = ParamScope::new(&mut other).get("b", &[6], Init::Ones).unwrap();
        let error = copied.copy_from(&other).unwrap_err();
        assert_eq!(error.to_string(), "parameter `a` is [3, 2], not [2, 3]");
    }

    #[test]
    fn an_unused_parameter_has_gradient_zero() {
        let mut store = store();
        let mut scope = ParamScope::new(&mut store);
        let a = scope.get("a", &[2, 3], Init::Zeros).unwrap();
        let _ = scope.get("b", &[4], Init::Zeros).unwrap();
        let leaves = scope.into_leaves().unwrap();
        let loss = a.sum(Kind::Float);
        let gradients = Tensor::run_backward(&[&loss], &leaves, false, false);
        let flat = flatten_gradients(&gradients, &leaves);
        let expected = [1f32, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(Vec::<f32>::try_from(flat).unwrap(), expected);
    }
}
