"""Pictures of every kind that core/data decodes, with the pixels Pillow reads from them.

Writes tests/data/golden/images.bin: a sequence of cases, each (little endian)
    u32 name bytes, name, u32 file bytes, file, u32 width, u32 height, RGB bytes.
PNG kinds that Pillow cannot write are put together here from chunks.
Needs Pillow and numpy:  python3 make_image_golden.py
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "golden" / "images.bin"
rng = np.random.default_rng(2)


def picture(width, height):
    """Smooth colours with a few sharp edges, so that chroma upsampling matters."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    rgb = np.stack([127 + 120 * np.sin(x / 3 + y / 7), 255 * x / width, 255 * y / height], 2)
    rgb[height // 3: height // 2, width // 4: width // 2] = (250, 20, 60)
    return np.clip(rgb + rng.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, colour, rows, extra=b"", interlace=0):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def pack_bits(samples, depth):
    """[height, width] small integers -> PNG rows with filter 0."""
    rows = b""
    for line in samples:
        bits = "".join(format(int(v), f"0{depth}b") for v in line)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return rows


def raw_rows(samples, dtype):
    return b"".join(b"\0" + line.astype(dtype).tobytes() for line in samples)


def adam7(pixels):
    """[height, width, channels] uint8 -> the seven passes of an interlaced PNG."""
    out = b""
    for y0, x0, dy, dx in [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
                           (1, 0, 2, 1)]:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            out += raw_rows(part, np.uint8)
    return out


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def png_cases():
    for depth in (1, 2, 4, 8):
        grey = rng.integers(0, 1 << depth, (5, 13))
        yield f"png grey {depth}", png(13, 5, depth, 0, pack_bits(grey, depth))
        palette = rng.integers(0, 256, (1 << depth, 3)).astype(np.uint8).tobytes()
        yield (f"png palette {depth} with transparency",
               png(13, 5, depth, 3, pack_bits(grey, depth),
                   chunk(b"PLTE", palette) + chunk(b"tRNS", b"\0\x80")))
    wide = rng.integers(0, 65536, (5, 7, 4))
    yield "png colour 16", png(7, 5, 16, 2, raw_rows(wide[:, :, :3], ">u2"))
    yield "png colour and alpha 16", png(7, 5, 16, 6, raw_rows(wide, ">u2"))
    yield "png grey and alpha 16", png(7, 5, 16, 4, raw_rows(wide[:, :, :2], ">u2"))
    small = picture(11, 9)
    alpha = rng.integers(0, 256, (9, 11, 1)).astype(np.uint8)
    yield "png colour 8", saved(Image.fromarray(small), format="PNG")
    yield "png colour with transparent colour", png(11, 9, 8, 2, raw_rows(small, np.uint8),
                                                    chunk(b"tRNS", struct.pack(">3H", *small[0, 0])))
    yield "png colour and alpha 8", saved(Image.fromarray(np.concatenate([small, alpha], 2)), format="PNG")
    grey = np.concatenate([small[:, :, :1], alpha], 2)
    yield "png grey and alpha 8", png(11, 9, 8, 4, raw_rows(grey, np.uint8))
    yield "png interlaced", png(11, 9, 8, 2, adam7(small), interlace=1)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    yield "png with gamma", png(11, 9, 8, 2, raw_rows(small, np.uint8), gamma)


def jpeg_cases():
    image = Image.fromarray(picture(37, 29))
    for name, subsampling in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)):
        yield f"jpeg {name}", saved(image, format="JPEG", quality=85, subsampling=subsampling)
    yield "jpeg progressive", saved(image, format="JPEG", quality=70, progressive=True)
    yield "jpeg restarts", saved(image, format="JPEG", quality=60, restart_marker_blocks=2)
    yield "jpeg grey", saved(image.convert("L"), format="JPEG")
    yield "jpeg rgb", saved(image, format="JPEG", keep_rgb=True)
    yield "jpeg four inks", saved(image.convert("CMYK"), format="JPEG", quality=90)


def ppm_cases():
    colour, grey = rng.integers(0, 256, (4, 5, 3)), rng.integers(0, 256, (4, 5))
    yield "ppm 255", b"P6\n# a comment\n5 4\n255\n" + colour.astype(np.uint8).tobytes()
    yield "ppm 6", b"P6 5 4 6 " + (colour % 8).astype(np.uint8).tobytes()
    yield "ppm 65535", b"P6 5 4 65535\n" + (colour * 257 - colour // 3).astype(">u2").tobytes()
    yield "ppm 1000", b"P6 5 4 1000\n" + (colour * 4).astype(">u2").tobytes()
    yield "pgm 255", b"P5 5 4 255\n" + grey.astype(np.uint8).tobytes()
    yield "pgm 100", b"P5 5 4 100\n" + grey.astype(np.uint8).tobytes()


def main():
    out = b""
    for cases in (png_cases(), jpeg_cases(), ppm_cases()):
        for name, data in cases:
            rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            out += struct.pack("<I", len(name)) + name.encode() + struct.pack("<I", len(data)) + data
            out += struct.pack("<II", rgb.shape[1], rgb.shape[0]) + rgb.tobytes()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(out)
    print(f"{OUT.name}: {len(out)} bytes")


if __name__ == "__main__":
    main()
