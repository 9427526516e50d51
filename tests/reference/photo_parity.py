"""Photographs as `vitro pack` prepares them, against Pillow: decoded, resized by the bicubic filter with antialias.

    python3 photo_parity.py SET [SIZE ...]   SET: a folder or tar archive with VTAB-1K's lists; sizes: 224 96
    python3 photo_parity.py golden           tests/data/golden/photos.bin, from pictures that are drawn here

The first packs the whole set with the program that is built (scripts/vitro), compares every byte and prints two lines for
each size. `across, down` asks Pillow for the two passes one by one, which is what Pillow up to 12 does in one call: a byte
that differs from it by more than 1/255 ends the program with 1. `one call` is what this Pillow does; since 13 it goes down
first where the height shrinks more than the width. Needs Pillow and numpy.

The golden file is a sequence of cases, each (little endian): u32 file bytes, file, u32 side, RGB bytes [side, side, 3].
"""
import io
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import PIL
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "data" / "golden" / "photos.bin"
LISTS = ("train800.txt", "val200.txt", "test.txt")
HEAD, MOST = 64, 1  # bytes before a pack's labels (core/data/pack_file.h); the difference that passes


def steps(image, side):
    return image.resize((side, image.height), Image.BICUBIC).resize((side, side), Image.BICUBIC)


def one_call(image, side):
    return image.resize((side, side), Image.BICUBIC)


def align(at, to):
    return (at + to - 1) // to * to


def pack_pixels(path, counts, side):
    """[images, side, side, 3] of all splits, in the order of the lists."""
    data = np.fromfile(path, np.uint8)
    picture = side * side * 3
    train = align(HEAD + 4 * (counts[0] + counts[1]), 64)
    labels = align(train + (counts[0] + counts[1]) * picture, 4096)
    starts = (train, train + counts[0] * picture, align(labels + 4 * counts[2], 64))
    return np.concatenate([data[s:s + n * picture].reshape(n, side, side, 3) for s, n in zip(starts, counts)])


def compare(root, source, side, work):
    names = [[line.split()[0] for line in (root / name).read_text().splitlines() if line.strip()] for name in LISTS]
    pack = work / f"{side}.pack"
    subprocess.run([ROOT / "scripts" / "vitro", "pack", source, "--normalise", "half", "--size", str(side), "--output", pack],
                   check=True, stdout=subprocess.DEVNULL)
    ours = pack_pixels(pack, [len(n) for n in names], side)
    worst = {}
    for label, how in (("across, down", steps), ("one call", one_call)):
        most, bytes_off, images_off = 0, 0, 0
        for mine, name in zip(ours, [n for split in names for n in split]):
            theirs = np.asarray(how(Image.open(root / name).convert("RGB"), side))
            off = np.abs(mine.astype(int) - theirs)
            most, bytes_off, images_off = max(most, off.max()), bytes_off + (off > 0).sum(), images_off + bool(off.max())
        print(f"{root.name}, {side} px, {len(ours)} images, Pillow {PIL.__version__}, {label}: largest difference {most}/255, "
              f"{images_off} images and {bytes_off} of {ours.size} bytes differ", flush=True)
        worst[label] = most
    return worst["across, down"]


def unpacked(source, work):
    if source.is_dir():
        return source
    with tarfile.open(source) as tar:
        tar.extractall(work, filter="data")
    return next(work.rglob(LISTS[0])).parent


def golden():
    out = b""
    y, x = np.mgrid[0:53, 0:71].astype(float)
    rng = np.random.default_rng(5)
    for number, options in enumerate(({"quality": 75}, {"quality": 90, "subsampling": 0}, {"quality": 60, "progressive": True})):
        rgb = np.stack([127 + 120 * np.sin(x / (5 + number) + y / 11), 255 * x / 71, 127 + 90 * np.cos(y / 6)], 2)
        rgb[12:33, 17:40] = (240, 30 * number, 60)
        image = Image.fromarray(np.clip(rgb + rng.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8))
        stream = io.BytesIO()
        image.save(stream, format="JPEG", **options)
        side = (24, 32, 60)[number]
        pixels = np.asarray(steps(Image.open(stream).convert("RGB"), side))
        out += struct.pack("<I", len(stream.getvalue())) + stream.getvalue() + struct.pack("<I", side) + pixels.tobytes()
    OUT.write_bytes(out)
    print(f"{OUT.name}: {len(out)} bytes")


def main():
    if sys.argv[1:] == ["golden"]:
        return golden()
    source, sizes = pathlib.Path(sys.argv[1]), [int(s) for s in sys.argv[2:]] or [224, 96]
    with tempfile.TemporaryDirectory() as work:
        root = unpacked(source, pathlib.Path(work))
        return int(max(compare(root, source.resolve(), side, pathlib.Path(work)) for side in sizes) > MOST)


if __name__ == "__main__":
    sys.exit(main())
