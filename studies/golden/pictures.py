"""Pictures of every kind that a folder may hold, and what Pillow and torchvision make of them, for the tests in src/folder.

    python studies/golden/pictures.py

Writes the files in studies/golden/pictures and pictures.json beside this script. Made with Pillow 13.0 and torchvision 0.29.2.
"""

import json
import pathlib

import numpy as np
from PIL import Image
from torchvision.transforms import functional as F

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "pictures"


def scene(width: int, height: int) -> np.ndarray:
    """Smooth colours, so that lossy formats stay close, with one hard edge."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    red, green, blue = 255 * x, 255 * y, 127 + 120 * np.sin(5 * x + 3 * y)
    rgb = np.stack([red, green, blue], -1).round().astype(np.uint8)
    rgb[height // 3 :, : width // 4] = [240, 200, 16]
    return rgb


def write_files() -> None:
    FOLDER.mkdir(exist_ok=True)
    rgb = Image.fromarray(scene(24, 18))
    alpha = Image.fromarray((255 * np.linspace(0, 1, 24 * 18).reshape(18, 24)).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey_alpha = rgba.convert("LA")
    deep = (np.asarray(rgb.convert("L")).astype(np.uint16) << 8) + 77
    rgb.save(FOLDER / "rgb.jpg", quality=95, subsampling=0)
    rgb.save(FOLDER / "subsampled.jpg", quality=95, subsampling=2)
    rgb.save(FOLDER / "progressive.jpg", quality=95, subsampling=0, progressive=True)
    rgb.convert("L").save(FOLDER / "grey.jpg", quality=95)
    rgb.convert("CMYK").save(FOLDER / "inks.jpg", quality=95, subsampling=0)
    # The same file said to hold inks as brightness, two colour differences and black: Adobe's mark 2.
    inks = bytearray((FOLDER / "inks.jpg").read_bytes())
    inks[inks.index(b"Adobe") + 11] = 2
    (FOLDER / "inks_as_differences.jpg").write_bytes(inks)
    rgb.save(FOLDER / "rgb.png")
    rgba.save(FOLDER / "transparent.png")
    grey_alpha.save(FOLDER / "grey_alpha.png")
    rgb.convert("L").save(FOLDER / "grey.png")
    rgb.convert("1").save(FOLDER / "bits.png")
    rgb.quantize(16).save(FOLDER / "palette.png", transparency=3)
    Image.fromarray(deep).save(FOLDER / "deep.png")
    # A JPEG that calls itself a PNG, as one of ImageNet's pictures does the other way round.
    (FOLDER / "named_wrongly.png").write_bytes((FOLDER / "rgb.jpg").read_bytes())
    (FOLDER / "cut.jpg").write_bytes((FOLDER / "rgb.jpg").read_bytes()[:900])


def numbers(picture: Image.Image) -> dict:
    return {"size": picture.size, "pixels": np.asarray(picture).flatten().tolist()}


def main() -> None:
    write_files()
    decoded = {}
    for path in sorted(FOLDER.iterdir()):
        if path.name not in ("cut.jpg", "deep.png", "large.png", "tall.png"):
            decoded[path.name] = numbers(Image.open(path).convert("RGB"))

    rgb = Image.open(FOLDER / "rgb.png").convert("RGB")
    large = Image.fromarray(scene(90, 61))
    large.save(FOLDER / "large.png")
    tall = Image.fromarray(scene(40, 77))
    tall.save(FOLDER / "tall.png")
    squares = {}
    for name, picture in [("rgb", rgb), ("large", large), ("tall", tall)]:
        side = 32
        resized = F.resize(picture, int(side * 256 / 224))
        squares[f"{name}.png"] = {"side": side, "pixels": numbers(F.center_crop(resized, side))["pixels"]}
    crops = []
    for left, top, width, height in [(3, 5, 60, 50), (10, 0, 17, 61), (20, 20, 9, 7)]:
        square = F.resized_crop(large, top, left, height, width, [16, 16])
        crops.append({"crop": [left, top, width, height], "side": 16, "pixels": numbers(square)["pixels"]})
    found = {"decoded": decoded, "squares": squares, "crops": crops}
    (HERE / "pictures.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
