"""Pictures resized by Pillow's bicubic filter, up and down, even and odd.

Writes tests/data/golden/resize.bin: a sequence of cases, each (little endian)
    u32 width, u32 height, RGB bytes, u32 new width, u32 new height, RGB bytes.
One call of Pillow up to 12 resizes across first, then down. Pillow 13 changes the order where the height
shrinks more than the width, which moves some pixels by rounding; asking for the two steps one by one
gives the established result with every version.
Needs Pillow and numpy:  python3 make_resize_golden.py
"""
import pathlib
import struct

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "golden" / "resize.bin"

SIZES = [((32, 32), (48, 48)), ((64, 64), (24, 24)), ((37, 21), (16, 40)), ((5, 3), (32, 32)),
         ((90, 70), (7, 11)), ((20, 20), (20, 33)), ((20, 20), (31, 20)), ((17, 9), (17, 9)), ((1, 1), (8, 8)),
         ((100, 2), (3, 3)), ((40, 40), (1, 1)), ((2, 60), (9, 50))]


def main():
    rng = np.random.default_rng(3)
    out = b""
    for number, ((width, height), target) in enumerate(SIZES):
        if number % 2:  # extreme steps make the kernel overshoot and clip
            rgb = rng.integers(0, 2, (height, width, 3)).astype(np.uint8) * 255
        else:
            rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        resized = np.asarray(Image.fromarray(rgb).resize((target[0], height), Image.BICUBIC)
                             .resize(target, Image.BICUBIC))
        out += struct.pack("<II", width, height) + rgb.tobytes()
        out += struct.pack("<II", *target) + resized.tobytes()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(out)
    print(f"{OUT.name}: {len(out)} bytes")


if __name__ == "__main__":
    main()
