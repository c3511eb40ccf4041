"""What the golden scripts of this folder share: numbers that both sides make, and how results are put."""
import numpy as np
import torch
import torch.nn.functional as F


def mix(x):
    """64-bit finaliser of MurmurHash3, on numpy arrays of uint64."""
    x = np.asarray(x, dtype=np.uint64)
    with np.errstate(over="ignore"):
        x = x ^ (x >> np.uint64(33))
        x = x * np.uint64(0xFF51AFD7ED558CCD)
        x = x ^ (x >> np.uint64(33))
        x = x * np.uint64(0xC4CEB9FE1A85EC53)
        return x ^ (x >> np.uint64(33))


def noise_in_one(start, count):
    """Numbers in [-1, 1): the hash's upper 24 bits, exact in f32."""
    bits = mix(np.arange(count, dtype=np.uint64) + np.uint64(start)) >> np.uint64(40)
    return bits.astype(np.float64) / float(1 << 23) - 1.0


def observation(stream, shown, shape):
    """Pixels of the `shown`-th observation of a stream, as ../tests/support/scripted.rs has them."""
    positions = np.arange(int(np.prod(shape)), dtype=np.uint64)
    pixels = mix(positions ^ np.uint64((stream << 48) ^ (shown << 24))) & np.uint64(255)
    return pixels.astype(np.uint8).reshape(shape)


def first_weights(layers, start):
    """Uniform noise of a size that keeps activations near 1; `layers` gives shapes of weights by name."""
    weights = {}
    for layer, shape in layers.items():
        fan_in = int(np.prod(shape[1:]))
        for name, size, scale in ((f"{layer}.weight", shape, fan_in), (f"{layer}.bias", shape[:1], 100)):
            count = int(np.prod(size))
            values = (noise_in_one(start, count) * (6.0 / scale) ** 0.5).astype(np.float32)
            weights[name] = torch.tensor(values).reshape(size).requires_grad_()
            start += count
    return weights


def dense(weights, x, name):
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def features(weights, obs, coordinates):
    """The torso: three convolutions and a dense layer, coordinates appended before the first or not."""
    x = torch.as_tensor(obs).float() / 255
    if coordinates:
        n, _, h, w = x.shape
        rows, columns = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        x = torch.cat([x, columns.expand(n, 1, h, w), rows.expand(n, 1, h, w)], dim=1)
    for layer, stride in (("conv1", 4), ("conv2", 2), ("conv3", 1)):
        x = F.relu(F.conv2d(x, weights[f"torso.{layer}.weight"], weights[f"torso.{layer}.bias"], stride))
    return F.relu(dense(weights, x.flatten(1), "torso.fc"))


def summary(tensor, samples):
    """Norm, a product with fixed noise in which every entry counts, and entries spread evenly."""
    flat = tensor.detach().double().flatten().numpy()
    picked = [flat[i * flat.size // samples] for i in range(samples)]
    return {
        "norm": float(np.linalg.norm(flat)),
        "product": float(flat @ noise_in_one(0, flat.size)),
        "entries": [float(f"{x:.8g}") for x in picked],
    }
