"""The first update of every kind of study in PyTorch, written independently of the Rust code.

Writes one_update.json beside this file: losses and gradients on the first batch, and the running
statistics of batch normalisation after it. First weights are given by a formula that both sides
compute, and the batch comes from the same ChaCha8 stream, so the file holds results only.

Made with Python 3.11, torch 2.13.0, numpy 2.4.6:  python studies/golden/one_update.py
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

SEED, BATCH, L2, MAP_LOSS, MAP_SCALE = 5, 5, 1e-3, 0.5, 7.0

# ---- numbers that both sides make ----------------------------------------------------------------


def mix(x):
    """64-bit finaliser of MurmurHash3, on numpy arrays of uint64."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        return x ^ (x >> np.uint64(33))


def noise_in_one(start, count):
    """Numbers in [-1, 1): the hash's upper 24 bits, exact in f32."""
    bits = mix(np.arange(count, dtype=np.uint64) + np.uint64(start)) >> np.uint64(40)
    return bits.astype(np.float64) / float(1 << 23) - 1.0


class Weights:
    """Makes first weights in the order in which a network asks for them."""

    def __init__(self):
        self.start, self.named, self.running = 1 << 40, {}, {}

    def get(self, name, *shape):
        count = int(np.prod(shape))
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        values = (noise_in_one(self.start, count) * (6.0 / fan_in) ** 0.5).astype(np.float32)
        self.start += count
        self.named[name] = torch.tensor(values).reshape(shape).requires_grad_()
        return self.named[name]


def chacha8_words(key):
    """The 64-bit draws of rand_chacha::ChaCha8Rng with this key of eight 32-bit words."""
    m32, counter = 0xFFFFFFFF, 0
    while True:
        first = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *key, counter & m32, counter >> 32, 0, 0]
        s = list(first)

        def quarter(a, b, c, d):
            for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = (s[x] + s[y]) & m32
                s[z] ^= s[x]
                s[z] = ((s[z] << shift) | (s[z] >> (32 - shift))) & m32

        for _ in range(4):
            for i in range(4):
                quarter(i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        out = [(x + y) & m32 for x, y in zip(s, first)]
        yield from (out[i] | out[i + 1] << 32 for i in range(0, 16, 2))
        counter += 1


def first_batch(split):
    centres = [(x, y) for x in range(4, 60) for y in range(4, 60)]
    draws = np.random.RandomState(20202).random_sample(len(centres))
    held = draws < 0.25 if split == "uniform" else [x >= 33 and y >= 33 for x, y in centres]
    order = [i for i, test in enumerate(held) if not test]
    purpose = int.from_bytes(b"study/sh", "little")
    words = [w for n in (SEED, purpose, 0, 0) for w in (n & 0xFFFFFFFF, n >> 32)]
    rng = chacha8_words(words)
    for place in range(len(order) - 1, 0, -1):
        other = next(rng) % (place + 1)
        order[place], order[other] = order[other], order[place]
    return np.array([centres[i] for i in order[:BATCH]])


# ---- networks ------------------------------------------------------------------------------------


def with_coordinates(x):
    n, _, h, w = x.shape
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    return torch.cat([x, columns.expand(n, 1, h, w), rows.expand(n, 1, h, w)], dim=1)


def conv(w, name, x, channels, kernel, stride=1):
    """TensorFlow's "same" padding."""
    weight = w.get(f"{name}.weight", channels, x.shape[1], kernel, kernel)
    bias = w.get(f"{name}.bias", channels)
    size = x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    before, after = total // 2, total - total // 2
    return F.conv2d(F.pad(x, (before, after, before, after)), weight, bias, stride)


def norm(w, name, x):
    mean, var = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
    weight, bias = w.get(f"{name}.weight", x.shape[1]), w.get(f"{name}.bias", x.shape[1])
    x = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=0.1, eps=1e-5)
    w.running |= {f"{name}.running_mean": mean, f"{name}.running_var": var}
    return x


def pointwise(w, numbers):
    x = with_coordinates(numbers[:, :, None, None].expand(-1, -1, 64, 64))
    x = F.relu(conv(w, "layer", x, 32, 1))
    for i, channels in enumerate((32, 64, 64)):
        x = F.relu(conv(w, f"conv{i + 2}", x, channels, 1))
    return conv(w, "conv5", x, 1, 1).flatten(1)


def render(w, numbers, kernel):
    logits = pointwise(w, numbers)
    x = logits.softmax(1).view(-1, 1, 64, 64) * MAP_SCALE
    for i, channels in enumerate((8, 8, 16, 16)):
        x = F.relu(conv(w, f"draw{i + 1}", x, channels, kernel))
    return conv(w, "draw5", x, 1, kernel).flatten(1), logits


def deconv(w, numbers, kernel):
    x = numbers[:, :, None, None]
    for i, channels in enumerate((64, 64, 64, 32, 32, 1)):
        size = x.shape[-1]
        weight = w.get(f"deconv{i + 1}.weight", x.shape[1], channels, kernel, kernel)
        full = F.conv_transpose2d(x, weight, w.get(f"deconv{i + 1}.bias", channels), 2)
        before = (kernel - 2) // 2
        x = full[:, :, before : before + 2 * size, before : before + 2 * size]
        if i < 5:
            x = F.relu(norm(w, f"norm{i + 1}", x))
    return x.flatten(1)


def coord_max(w, picture):
    x = conv(w, "layer", with_coordinates(picture), 8, 1)
    for i, (channels, kernel) in enumerate(((8, 1), (8, 1), (8, 3), (2, 3))):
        x = conv(w, f"conv{i + 2}", x, channels, kernel)
    return F.max_pool2d(x, 64).flatten(1)


def conv_dense(w, picture):
    x = picture
    for i in range(4):
        x = F.relu(conv(w, f"conv{i + 1}", x, 16, 3))
        x = F.max_pool2d(x, 2) if i < 3 else x
    x = F.relu(F.linear(x.flatten(1), w.get("hidden.weight", 64, 1024), w.get("hidden.bias", 64)))
    return F.linear(x, w.get("output.weight", 2, 64), w.get("output.bias", 2))


def conv_mean(w, picture):
    x = F.relu(conv(w, "conv1", picture, 16, 5, 2))
    x = norm(w, "norm2", F.relu(conv(w, "conv2", x, 16, 1)))
    x = F.relu(conv(w, "conv3", x, 16, 3))
    x = F.relu(conv(w, "conv4", x, 16, 3, 2))
    x = F.relu(norm(w, "norm5", conv(w, "conv5", x, 16, 3, 2)))
    x = F.relu(conv(w, "conv6", x, 16, 3, 2))
    x = F.relu(conv(w, "conv7", x, 16, 1))
    x = F.relu(conv(w, "conv8", x, 16, 3, 2))
    return F.relu(conv(w, "conv9", x, 2, 3)).mean((2, 3))


# ---- losses --------------------------------------------------------------------------------------


def squares(batch):
    pictures = torch.zeros(len(batch), 64, 64)
    for picture, (x, y) in zip(pictures, batch):
        picture[y - 4 : y + 5, x - 4 : x + 5] = 1
    return pictures.flatten(1)


def pixels(batch):
    return torch.tensor(batch[:, 1] * 64 + batch[:, 0])


def one_update(task, split, layer, kernel):
    batch, w, second = first_batch(split), Weights(), 0.0
    raw = torch.tensor(batch).float()
    scaled = raw * 2 / 63 - 1 if task == "render" else raw  # both kinds of input are tried
    picture = F.one_hot(pixels(batch), 4096).float().view(-1, 1, 64, 64)
    if task == "classify":
        logits = pointwise(w, raw) if layer == "coordconv" else deconv(w, raw, kernel)
        loss = F.cross_entropy(logits, pixels(batch))
    elif task == "render":
        if layer == "coordconv":
            output, logits = render(w, scaled, kernel)
            # What the map has to hold: the square for 1x1 windows, else the centre.
            target = squares(batch) / 81 if kernel == 1 else pixels(batch)
            second = MAP_LOSS * F.cross_entropy(logits, target)
        else:
            output = deconv(w, scaled, kernel)
        loss = F.binary_cross_entropy_with_logits(output, squares(batch)) + second
    else:
        network = coord_max if layer == "coordconv" else {"uniform": conv_dense, "quadrant": conv_mean}[split]
        loss = F.mse_loss(network(w, picture), raw / 64)
    l2_loss = L2 * sum((v**2).sum() for v in w.named.values() if v.dim() == 4)
    (loss + l2_loss).backward()
    gradients = {name: v.grad.double().flatten().numpy() for name, v in w.named.items()}
    return {
        "batch": batch.tolist(),
        "loss": loss.item(),
        "l2_loss": l2_loss.item(),
        "grad_norm": float(np.linalg.norm(np.concatenate(list(gradients.values())))),
        "gradients": {name: summary(g) for name, g in gradients.items()},
        "running": {name: summary(v.double().numpy()) for name, v in w.running.items()},
    }


def summary(flat):
    """Norm, and a product with fixed noise in which every entry counts."""
    return [float(np.linalg.norm(flat)), float(flat @ noise_in_one(0, flat.size))]


CASES = [
    ("classify", "uniform", "coordconv", 1), ("render", "quadrant", "coordconv", 1),
    ("render", "uniform", "coordconv", 3), ("regress", "quadrant", "coordconv", 1),
    ("classify", "quadrant", "conv", 3), ("render", "uniform", "conv", 4),
    ("regress", "uniform", "conv", 1), ("regress", "quadrant", "conv", 1),
]  # fmt: skip


def main():
    torch.set_num_threads(1)
    golden = {f"{t} {s} {l} {k}": one_update(t, s, l, k) for t, s, l, k in CASES}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden) + "\n")
    print(torch.__version__, path.stat().st_size, "bytes;", {k: v["loss"] for k, v in golden.items()})


if __name__ == "__main__":
    main()
