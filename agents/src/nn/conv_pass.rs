//! The gradient of a convolution as matrix products, on a CPU faster than libtorch's ([ADR
//! 52](../../../docs/adr/0052-the-way-back-through-convolutions.md)).
//!
//! Everything is channels-last here: `[N, H, W, C]`, contiguous.

use tch::{Device, Kind, Tensor};

use super::elements::{floats, floats_mut};
use super::{NetworkError, Window, scale_pixels};

/// Numbers in a block of windows, 512 KiB: what stays in a core's cache beside the images.
const BLOCK: usize = 1 << 17;

/// A forward pass of a convolution without padding, as its gradient needs it.
#[derive(Debug)]
pub(super) struct ConvPass {
    input: ConvInput,
    /// Weights of the image channels, `[out, kernel · kernel · C]`.
    weight: Tensor,
    coordinates: CoordinatePass,
    window: Window,
}

/// Input of a layer.
#[derive(Debug)]
pub(super) enum ConvInput {
    /// Output of the layer before, `[N, H, W, C]`.
    Numbers(Tensor),
    /// Observations, `u8 [N, C, H, W]`. Scaled again on the way back, a block at a time: a quarter
    /// of the memory, and the numbers then come from the cache.
    Pixels(Tensor),
}

/// The part of the pass that belongs to the coordinates.
#[derive(Debug)]
pub(super) enum CoordinatePass {
    None,
    /// Channels with as many taps as the image's, `[1, H, W, K]`.
    Window(ConvInput),
    /// Channels with one tap, at the windows' centres, `[1, H', W', K]`.
    Centre(Tensor),
}

/// The gradient of a convolution.
pub(super) struct ConvGradient {
    /// For weight and bias, and for the coordinates' weight where it is a parameter of its own.
    pub parameters: Vec<Tensor>,
    /// For the layer's input, `[N, H, W, C]`; `None` if it was not asked for.
    pub input: Option<Tensor>,
}

impl ConvPass {
    /// Takes the layer's input and the weights of its channels, `[out, C, kernel, kernel]`.
    pub fn new(
        input: ConvInput,
        weight: &Tensor,
        coordinates: CoordinatePass,
        window: Window,
    ) -> Self {
        let weight = channels_last(weight).view([window.channels_out, -1]);
        Self { input, weight, coordinates, window }
    }

    /// Goes back from the gradient of the output, `[N, H', W', out]`.
    pub fn gradient(
        &self,
        of_output: &Tensor,
        for_input: bool,
    ) -> Result<ConvGradient, NetworkError> {
        let out = self.window.channels_out;
        let rows = of_output.f_view([-1, out])?; // [N · H' · W', out]
        let bias = rows.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
        let weight = self.weight_gradient(&self.input, &rows)?;

        let parameters = match &self.coordinates {
            CoordinatePass::None => vec![weight, bias],
            CoordinatePass::Window(channels) => {
                let of_channels = self.weight_gradient(channels, &over_images(of_output)?)?;
                vec![Tensor::f_cat(&[weight, of_channels], 1)?, bias]
            }
            CoordinatePass::Centre(channels) => {
                let count = channels.size()[3];
                let channels = channels.f_view([-1, count])?; // [H' · W', K]
                let of_channels = over_images(of_output)?.f_tr()?.f_mm(&channels)?;
                vec![weight, bias, of_channels.f_view([out, count, 1, 1])?]
            }
        };

        let input = if for_input { Some(self.input_gradient(&rows)?) } else { None };
        Ok(ConvGradient { parameters, input })
    }

    /// Computes `[out, C, kernel, kernel]` for this input from the gradient of the output,
    /// `[N · H' · W', out]`.
    fn weight_gradient(
        &self,
        input: &ConvInput,
        of_output: &Tensor,
    ) -> Result<Tensor, NetworkError> {
        let windows = Windows::of(input.size(), self.window);
        let Window { channels_out, kernel, .. } = self.window;
        let mut sum = zeros(&[channels_out, windows.numbers as i64])?;
        // One for all blocks, so that its memory stays in the cache.
        let buffer = empty(&[windows.block_rows(), windows.numbers as i64])?;
        for block in windows.blocks() {
            let copies = buffer.f_narrow(0, 0, block.rows())?;
            // SAFETY: nobody else knows the buffer, and this is the only slice of it.
            let numbers = unsafe { floats_mut(&copies) };
            let images = input.images(block.first, block.images)?;
            let images = floats(&images).chunks_exact(windows.image);
            for (copies, image) in numbers.chunks_exact_mut(windows.copied).zip(images) {
                windows.copy(image, copies);
            }
            let of_block = of_output.f_narrow(0, block.first_row(), block.rows())?;
            sum = sum.f_addmm_(&of_block.f_tr()?, &copies)?;
        }

        let channels = windows.numbers as i64 / (kernel * kernel);
        Ok(sum.f_view([channels_out, kernel, kernel, channels])?.f_permute([0, 3, 1, 2])?)
    }

    /// Computes `[N, H, W, C]` from the gradient of the output, `[N · H' · W', out]`.
    fn input_gradient(&self, of_output: &Tensor) -> Result<Tensor, NetworkError> {
        let size = self.input.size();
        let windows = Windows::of(size, self.window);
        let sum = zeros(&size)?;
        for block in windows.blocks() {
            let of_block = of_output.f_narrow(0, block.first_row(), block.rows())?;
            let of_windows = of_block.f_mm(&self.weight)?;
            // SAFETY: nobody else knows the new tensor, and this is the only slice of it.
            let images = &mut unsafe { floats_mut(&sum) }[block.numbers(windows.image)];
            let images = images.chunks_exact_mut(windows.image);
            for (of_windows, image) in floats(&of_windows).chunks_exact(windows.copied).zip(images)
            {
                windows.add(of_windows, image);
            }
        }
        Ok(sum)
    }
}

impl ConvInput {
    /// Returns the size, `[N, H, W, C]`.
    fn size(&self) -> [i64; 4] {
        match (self, &self.tensor().size()[..]) {
            (Self::Numbers(_), &[n, h, w, c]) | (Self::Pixels(_), &[n, c, h, w]) => [n, h, w, c],
            _ => unreachable!("a convolution's input has four dimensions"),
        }
    }

    /// Returns C.
    pub fn channels(&self) -> i64 {
        self.size()[3]
    }

    /// Returns `count` images from number `first` on, `[count, H, W, C]`, contiguous.
    fn images(&self, first: usize, count: usize) -> Result<Tensor, NetworkError> {
        let images = self.tensor().f_narrow(0, first as i64, count as i64)?;
        Ok(match self {
            Self::Numbers(_) => images,
            Self::Pixels(_) => channels_last(&scale_pixels(&images)),
        })
    }

    fn tensor(&self) -> &Tensor {
        match self {
            Self::Numbers(tensor) | Self::Pixels(tensor) => tensor,
        }
    }
}

/// Turns the gradient of a ReLU's output, a tensor that nobody else uses, into that of its input: 0
/// where its output is 0. Both `[N, H, W, C]`.
pub(super) fn stop_at_zeros(gradient: &Tensor, output: &Tensor) {
    // SAFETY: the caller's own tensor, and this is the only slice of it.
    let gradient = unsafe { floats_mut(gradient) };
    for (slope, &number) in gradient.iter_mut().zip(floats(output)) {
        // As libtorch: what is not a number lets the gradient through.
        *slope = if number <= 0.0 { 0.0 } else { *slope };
    }
}

/// Moves the channels of `[N, C, H, W]` to the end; copies only if they are not stored there.
pub(super) fn channels_last(images: &Tensor) -> Tensor {
    images.permute([0, 2, 3, 1]).contiguous()
}

/// Adds up the gradients of a map that all images share: `[N, H', W', out]` to `[H' · W', out]`.
fn over_images(of_output: &Tensor) -> Result<Tensor, NetworkError> {
    let out = of_output.size()[3];
    Ok(of_output.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?.f_view([-1, out])?)
}

fn zeros(shape: &[i64]) -> Result<Tensor, NetworkError> {
    Ok(Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?)
}

fn empty(shape: &[i64]) -> Result<Tensor, NetworkError> {
    Ok(Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?)
}

/// The windows of images `[N, H, W, C]`.
struct Windows {
    count: usize,
    /// Numbers of an image.
    image: usize,
    /// Numbers of a row of an image.
    row: usize,
    /// Numbers of a row of a window, which lie side by side.
    window_row: usize,
    /// Numbers of a window.
    numbers: usize,
    /// Numbers of all windows of an image.
    copied: usize,
    /// Windows down and across an image.
    places: [usize; 2],
    /// Numbers between windows that are neighbours across an image, and down.
    steps: [usize; 2],
}

/// Images of which as many windows as fit are treated at once.
struct Block {
    first: usize,
    images: usize,
    windows_per_image: usize,
}

impl Windows {
    fn of([count, height, width, channels]: [i64; 4], window: Window) -> Self {
        let Window { kernel, stride, .. } = window;
        let [count, height, width, channels, kernel, stride] =
            [count, height, width, channels, kernel, stride].map(|number| number as usize);
        let places = [height, width].map(|side| (side - kernel) / stride + 1);
        let window_row = kernel * channels;
        let numbers = kernel * window_row;
        Self {
            count,
            image: height * width * channels,
            row: width * channels,
            window_row,
            numbers,
            copied: places[0] * places[1] * numbers,
            places,
            steps: [stride * channels, stride * width * channels],
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        let count = self.count;
        let most = self.block_images();
        let windows_per_image = self.places[0] * self.places[1];
        (0..count).step_by(most).map(move |first| Block {
            first,
            images: most.min(count - first),
            windows_per_image,
        })
    }

    /// Returns the number of images in a block; the last may have fewer.
    fn block_images(&self) -> usize {
        (BLOCK / self.copied).clamp(1, self.count)
    }

    /// Returns the number of windows in a block.
    fn block_rows(&self) -> i64 {
        (self.block_images() * self.places[0] * self.places[1]) as i64
    }

    /// Starts of all windows in an image, row by row.
    fn starts(&self) -> impl Iterator<Item = usize> {
        let [across, down] = self.steps;
        let [rows, columns] = self.places;
        (0..rows).flat_map(move |y| (0..columns).map(move |x| y * down + x * across))
    }

    /// Copies all windows of an image.
    fn copy(&self, image: &[f32], windows: &mut [f32]) {
        for (start, window) in self.starts().zip(windows.chunks_exact_mut(self.numbers)) {
            let rows = image[start..].chunks(self.row);
            for (copy, row) in window.chunks_exact_mut(self.window_row).zip(rows) {
                copy.copy_from_slice(&row[..self.window_row]);
            }
        }
    }

    /// Adds windows to the places of an image that they were copied from.
    fn add(&self, windows: &[f32], image: &mut [f32]) {
        for (start, window) in self.starts().zip(windows.chunks_exact(self.numbers)) {
            let rows = image[start..].chunks_mut(self.row);
            for (part, row) in window.chunks_exact(self.window_row).zip(rows) {
                row.iter_mut().zip(part).for_each(|(sum, number)| *sum += number);
            }
        }
    }
}

impl Block {
    /// Index of its first window among those of all images.
    fn first_row(&self) -> i64 {
        (self.first * self.windows_per_image) as i64
    }

    /// Number of its windows.
    fn rows(&self) -> i64 {
        (self.images * self.windows_per_image) as i64
    }

    /// Range of its images' numbers.
    fn numbers(&self, image: usize) -> std::ops::Range<usize> {
        self.first * image..(self.first + self.images) * image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        Conv, CoordinateSpec, Coordinates, ParamScope, ParamStore, Radius, Taps, Window,
    };

    /// Compares with autograd, for images of 13 × 10 pixels: windows of most of these kinds leave
    /// some of them out.
    fn check(window: Window, coordinates: Option<CoordinateSpec>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let coordinates = coordinates.map(|spec| Coordinates::with_spec(13, 10, spec));
        let mut scope = ParamScope::new(&mut store);
        let conv = Conv::build(&mut scope, "c", 3, window, coordinates).unwrap();
        let parameters = scope.into_leaves().unwrap();

        let images = Tensor::rand([7, 3, 13, 10], (Kind::Float, Device::Cpu));
        let images = images.set_requires_grad(true);
        let output = conv.forward(&images);
        let of_output = output.rand_like();
        let mut inputs: Vec<&Tensor> = parameters.iter().collect();
        inputs.push(&images);
        let loss = (&output * &of_output).sum(Kind::Float);
        let mut expected = Tensor::run_backward(&[loss], &inputs, false, false);

        let pass = tch::no_grad(|| conv.pass(ConvInput::Numbers(channels_last(&images.detach()))));
        let pass = pass.unwrap();
        let found = pass.gradient(&channels_last(&of_output), true).unwrap();
        let of_images = found.input.unwrap().permute([0, 3, 1, 2]);
        assert!(of_images.allclose(&expected.pop().unwrap(), 1e-4, 1e-5, false), "{window:?}");
        assert_eq!(found.parameters.len(), expected.len());
        for (found, expected) in found.parameters.iter().zip(&expected) {
            assert_eq!(found.size(), expected.size());
            assert!(found.allclose(expected, 1e-4, 1e-4, false), "{window:?}");
        }
    }

    #[test]
    fn gradients_are_those_of_autograd() {
        for (kernel, stride) in [(8, 4), (4, 2), (3, 1), (3, 2), (1, 1), (2, 3)] {
            let window = Window { channels_out: 5, kernel, stride };
            check(window, None);
            for taps in [Taps::Window, Taps::Centre] {
                for radius in [Radius::Without, Radius::With] {
                    check(window, Some(CoordinateSpec { taps, radius, ..CoordinateSpec::PAPER }));
                }
            }
        }
    }

    #[test]
    fn images_in_several_blocks_are_the_same_as_in_one() {
        let window = Window { channels_out: 2, kernel: 8, stride: 4 };
        let images = Tensor::rand([3, 84, 84, 4], (Kind::Float, Device::Cpu));
        assert!(Windows::of([3, 84, 84, 4], window).blocks().count() > 1);
        let weight = Tensor::rand([2, 4, 8, 8], (Kind::Float, Device::Cpu));
        let pass = |images: &Tensor| {
            let input = ConvInput::Numbers(images.shallow_clone());
            ConvPass::new(input, &weight, CoordinatePass::None, window)
        };
        let of_output = Tensor::rand([3, 20, 20, 2], (Kind::Float, Device::Cpu));
        let of_images = pass(&images).gradient(&of_output, true).unwrap().input.unwrap();
        for index in 0..3 {
            let alone = pass(&images.narrow(0, index, 1));
            let found = alone.gradient(&of_output.narrow(0, index, 1), true).unwrap();
            let expected = of_images.narrow(0, index, 1);
            assert!(found.input.unwrap().allclose(&expected, 1e-5, 1e-5, false));
        }
    }

    #[test]
    fn pixels_are_the_numbers_that_they_are_scaled_to() {
        let window = Window { channels_out: 2, kernel: 8, stride: 4 };
        for channels in [1, 4] {
            let obs = Tensor::randint(256, [3, channels, 84, 84], (Kind::Uint8, Device::Cpu));
            let weight = Tensor::rand([2, channels, 8, 8], (Kind::Float, Device::Cpu));
            let of_output = Tensor::rand([3, 20, 20, 2], (Kind::Float, Device::Cpu));
            let [numbers, pixels] =
                [ConvInput::Numbers(channels_last(&scale_pixels(&obs))), ConvInput::Pixels(obs)]
                    .map(|input| {
                        let pass = ConvPass::new(input, &weight, CoordinatePass::None, window);
                        pass.gradient(&of_output, true).unwrap()
                    });
            // Not to the last bit: how a product is split among threads depends on other tests.
            for (numbers, pixels) in numbers.parameters.iter().zip(&pixels.parameters) {
                assert!(numbers.allclose(pixels, 1e-5, 1e-5, false));
            }
            assert!(numbers.input.unwrap().allclose(&pixels.input.unwrap(), 1e-5, 1e-5, false));
        }
    }

    #[test]
    fn nothing_goes_back_through_a_zero_of_a_relu() {
        let gradient = Tensor::from_slice(&[1f32, -2.0, 3.0]);
        stop_at_zeros(&gradient, &Tensor::from_slice(&[0f32, 0.5, -0.0]));
        assert_eq!(gradient, Tensor::from_slice(&[0f32, -2.0, 0.0]));
    }
}
