"""The corruptions of ImageNet-C in NumPy and SciPy, from the formulas of Hendrycks and Dietterich 2019.

Writes tests/data/golden/corruptions.bin (little endian), in three parts:
    u32 cases, u32 side, a picture (RGB bytes); a case: char name[24], the corrupted picture. What is not random.
    u32 cases, one channel of floats [side][side]; a case: char name[24], f64 parameters[4], floats. The filters.
    u32 cases; a case: char name[24], f64 mean, f64 deviation. Noise, measured here on a million values of grey.
Lengths in pixels are scaled by side / 224, as Vitro does.
Needs numpy, scipy, Pillow:  python3 make_corruption_golden.py
"""
import colorsys
import io
import pathlib
import struct

import numpy as np
from PIL import Image
from scipy import ndimage

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "golden" / "corruptions.bin"
SIDE = 32
S = SIDE / 224


def disk(radius, alias, taps):
    half = max(8, int(np.ceil(radius)))
    yy, xx = np.mgrid[-half:half + 1, -half:half + 1]
    d = (xx ** 2 + yy ** 2 <= radius ** 2).astype(float)
    d /= d.sum()
    g = np.exp(-0.5 * (np.arange(taps) - taps // 2) ** 2 / alias ** 2)
    g /= g.sum()
    return ndimage.correlate(d, np.outer(g, g), mode="mirror")


def defocus(x, c):
    k = disk(c[0] * S, c[1], 5 if c[0] > 8 else 3)
    return np.stack([ndimage.correlate(x[..., i], k, mode="mirror") for i in range(3)], -1)


def clipped_zoom(x, zoom):
    n = x.shape[0]
    part = int(np.ceil(n / zoom))
    start = (n - part) // 2
    big = ndimage.zoom(x[start:start + part, start:start + part], (zoom, zoom, 1), order=1)
    trim = (big.shape[0] - n) // 2
    return big[trim:trim + n, trim:trim + n]


def zoom_blur(x, zooms):
    return (x + sum(clipped_zoom(x, z) for z in zooms)) / (len(zooms) + 1)


def brightness(x, c):
    out = np.empty_like(x)
    for i in np.ndindex(x.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*x[i])
        out[i] = colorsys.hsv_to_rgb(h, s, min(1, v + c))
    return out


def contrast(x, c):
    m = x.mean((0, 1), keepdims=True)
    return (x - m) * c + m


def pixelate(u8, c):
    n = u8.shape[0]
    im = Image.fromarray(u8).resize((int(n * c), int(n * c)), Image.BOX)
    return np.asarray(im.resize((n, n), Image.BOX))


def jpeg(u8, quality):
    out = io.BytesIO()
    Image.fromarray(u8).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def motion(x, radius, sigma, degrees):
    width = 2 * int(np.ceil(radius)) + 1
    k = np.exp(-np.arange(width) ** 2 / (2 * sigma ** 2))
    k /= k.sum()
    out, n = np.zeros_like(x), x.shape[0]
    a = np.deg2rad(degrees)
    for i in range(width):
        dy, dx = int(np.ceil(i * np.sin(a) - 0.5)), int(np.ceil(i * np.cos(a) - 0.5))
        yy = np.clip(np.arange(n) + dy, 0, n - 1)
        xx = np.clip(np.arange(n) + dx, 0, n - 1)
        out += k[i] * x[np.ix_(yy, xx)]
    return out


def picture(rng):
    smooth = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE, 3)), (3, 3, 0))
    x = (smooth - smooth.min()) / (smooth.max() - smooth.min()) + rng.normal(size=(SIDE, SIDE, 3)) * 0.05
    x[:6, :9] = 0
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def to_bytes(x):
    return np.floor(x.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def name(text):
    return text.encode().ljust(24, b"\0")


def exact(rng):
    u8 = picture(rng)
    x = u8 / 255
    ranges = [np.arange(1, 1.11, .01), np.arange(1, 1.16, .01), np.arange(1, 1.21, .02), np.arange(1, 1.26, .02),
              np.arange(1, 1.31, .03)]
    for s in (0, 2, 4):
        yield f"defocus_blur:{s + 1}", u8, to_bytes(
            defocus(x, [(3, .1), (4, .5), (6, .5), (8, .5), (10, .5)][s]))
        yield f"zoom_blur:{s + 1}", u8, to_bytes(zoom_blur(x, ranges[s]))
        yield f"brightness:{s + 1}", u8, to_bytes(brightness(x, [.1, .2, .3, .4, .5][s]))
        yield f"contrast:{s + 1}", u8, to_bytes(contrast(x, [.4, .3, .2, .1, .05][s]))
        yield f"pixelate:{s + 1}", u8, pixelate(u8, [.6, .5, .4, .3, .25][s])
        yield f"jpeg_compression:{s + 1}", u8, jpeg(u8, [25, 18, 15, 10, 7][s])


def filters(rng):
    x = rng.random((SIDE, SIDE, 1)).astype(np.float32)
    for sigma in (0.3, 1.7, 40.0):
        yield "gauss", x, (sigma, 4, 0, 0), ndimage.gaussian_filter(
            x[..., 0], sigma, mode="nearest", truncate=4)
        yield "gauss", x, (sigma, 3, 1, 0), ndimage.gaussian_filter(
            x[..., 0], sigma, mode="reflect", truncate=3)
    for degrees in (-45.0, -100.0, 30.0):
        yield "motion", x, (10 * S, 3 * S, degrees, 0), motion(x[..., 0], 10 * S, 3 * S, degrees)
    for zoom in (1.0, 1.3, 2.5):
        yield "zoom", x, (zoom, 0, 0, 0), clipped_zoom(x, zoom)[..., 0]


def noise(rng):
    """Mean and deviation of a grey of 0.4, rounded to bytes and clipped as pictures are."""
    grey = np.full(1_000_000, round(0.4 * 255) / 255)
    for s in range(5):
        yield "gaussian_noise", s + 1, to_bytes(grey + rng.normal(size=grey.size) * [.08, .12, .18, .26, .38][s])
        photons = [60, 25, 12, 5, 3][s]
        yield "shot_noise", s + 1, to_bytes(rng.poisson(grey * photons) / photons)
        lost, white = rng.random(grey.size), rng.random(grey.size)
        yield "impulse_noise", s + 1, to_bytes(
            np.where(lost < [.03, .06, .09, .17, .27][s], white < .5, grey))


def main():
    rng = np.random.default_rng(5)
    cases = list(exact(rng))
    out = struct.pack("<II", len(cases), SIDE)
    out += cases[0][1].tobytes()
    for text, u8, answer in cases:
        assert answer.shape == u8.shape
        out += name(text) + np.ascontiguousarray(answer).tobytes()
    cases = list(filters(rng))
    out += struct.pack("<I", len(cases)) + cases[0][1].astype("<f4").tobytes()
    for text, x, parameters, answer in cases:
        out += name(text) + struct.pack("<4d", *parameters) + answer.astype("<f4").tobytes()
    cases = list(noise(rng))
    out += struct.pack("<I", len(cases))
    for text, severity, values in cases:
        out += name(f"{text}:{severity}") + struct.pack("<2d", values.mean() / 255, values.std() / 255)
    OUT.write_bytes(out)
    print(f"{OUT.name}: {len(out)} bytes")


if __name__ == "__main__":
    main()
