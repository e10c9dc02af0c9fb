"""Appearance of the surfaces of a training scene: shapes, walls, lights and hidden parts.

Every function draws one thing from a random generator. Blur is not applied here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from skdefocus._typing import Float32Array

Rng = np.random.Generator

LETTERS = list("ABCDEFGHKLMNOPRSTUVWXYZabcdefghkmnopqrstuvwxyz0123456789")


def log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def ramp(n: int, rng: Rng) -> Float32Array:
    """Draw a plane from 0 to 1 across an n × n window, in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    t = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    plane = np.float32(np.cos(angle)) * t[:, None] + np.float32(np.sin(angle)) * t
    return np.asarray((plane - plane.min()) / np.ptp(plane))


def smooth_noise(n: int, scale: float, rng: Rng) -> Float32Array:
    """Draw low-pass noise of unit variance, on a coarse grid because it is smooth."""
    small = -(-n // 4)
    coarse = rng.standard_normal((small, small)).astype(np.float32)
    coarse = ndimage.gaussian_filter(coarse, scale / 4, mode="wrap")
    big = ndimage.zoom(coarse / coarse.std(), 4, order=1, mode="grid-wrap", grid_mode=True)
    return np.asarray(big[:n, :n])


def blob(n: int, rng: Rng) -> Float32Array:
    """Draw the coverage of a bent half plane or of blobs, anti-aliased."""
    field = smooth_noise(n, log_uniform(rng, 6, 60), rng) * np.float32(rng.uniform(0.0, 0.8))
    field += (ramp(n, rng) - np.float32(0.5)) * np.float32(rng.uniform(0, 4))
    field -= np.float32(np.quantile(field[::4, ::4], rng.uniform(0.35, 0.85)))
    slope = np.hypot(*np.gradient(field))
    return np.clip(field / np.maximum(slope, 1e-4) + 0.5, 0, 1).astype(np.float32)


def soft_blob(n: int, rng: Rng) -> Float32Array:
    """Draw a blob whose edge fades over some pixels, like fur."""
    return np.asarray(ndimage.gaussian_filter(blob(n, rng), rng.uniform(1.5, 4)), np.float32)


def _polygons(pen: ImageDraw.ImageDraw, n: int, over: int, rng: Rng) -> None:
    """Draw polygons."""
    for _ in range(rng.integers(1, 4)):
        middle, size = rng.uniform(0, n, 2), log_uniform(rng, n / 8, n / 1.5)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        radii = size * rng.uniform(0.4, 1, len(angles))
        points = middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        pen.polygon([tuple(p) for p in points], fill=255)


def _ellipses(pen: ImageDraw.ImageDraw, n: int, over: int, rng: Rng) -> None:
    """Draw ellipses."""
    for _ in range(rng.integers(1, 6)):
        (x, y), size = rng.uniform(0, n, 2), log_uniform(rng, n / 16, n / 2.5)
        a, b = size, size * rng.uniform(0.4, 1)
        pen.ellipse((x - a, y - b, x + a, y + b), fill=255)


def _lines(pen: ImageDraw.ImageDraw, n: int, over: int, rng: Rng) -> None:
    """Draw mostly parallel lines, like wires, fences and stripes."""
    angle, width = rng.uniform(0, np.pi), log_uniform(rng, 1, 14) * over
    along = np.array([np.cos(angle), np.sin(angle)]) * 2 * n
    across = np.array([-np.sin(angle), np.cos(angle)])
    gap = width + log_uniform(rng, 4, 90) * over
    for k in np.arange(-n, n, gap):
        middle = n / 2 + across * k + across * rng.normal(0, 0.1 * gap)
        tilt = rng.normal(0, 0.05) * across * n
        pen.line(
            [tuple(middle - along - tilt), tuple(middle + along + tilt)],
            fill=255,
            width=max(1, round(width)),
        )


def _twigs(pen: ImageDraw.ImageDraw, n: int, over: int, rng: Rng) -> None:
    """Draw forking twigs, 1 to 9 pixels thick."""
    start = [(rng.uniform(0, n), rng.choice([0.0, n])) for _ in range(rng.integers(2, 6))]
    grow = [
        (x, y, np.pi / 2 * (1 if y == 0 else -1) + rng.normal(0, 0.6), rng.uniform(2, 9) * over)
        for x, y in start
    ]
    while grow:
        x, y, angle, width = grow.pop()
        for _ in range(rng.integers(3, 7)):
            length = n / rng.uniform(6, 14)
            end = (x + length * np.cos(angle), y + length * np.sin(angle))
            pen.line((x, y, *end), fill=255, width=max(1, round(width)))
            (x, y), angle, width = end, angle + rng.normal(0, 0.3), width * 0.9
            if width > 1.5 * over and rng.random() < 0.4:
                grow.append((x, y, angle + rng.choice([-1, 1]) * rng.uniform(0.3, 1), width * 0.6))


def _letters(pen: ImageDraw.ImageDraw, n: int, over: int, rng: Rng) -> None:
    """Draw lines of letters."""
    height = log_uniform(rng, n / 14, n / 2.5)
    font = ImageFont.load_default(height)
    y = -rng.uniform(0, height)
    while y < n:
        pen.text(
            (-rng.uniform(0, height), y),
            "".join(rng.choice(LETTERS, 30)),
            fill=255,
            font=font,
            stroke_width=int(rng.integers(0, 3)) * over // 2,
        )
        y += height * rng.uniform(1.0, 2.5)


#: Kinds of silhouettes, in equal shares.
SOLID = ("blob", "blob", "soft", "polygons", "ellipses")
THIN = ("lines", "twigs", "letters")
DRAWN = {
    "polygons": _polygons,
    "ellipses": _ellipses,
    "lines": _lines,
    "twigs": _twigs,
    "letters": _letters,
}
#: How many times larger than needed shapes are drawn, so that their edges are anti-aliased.
OVERSAMPLED = 3


def _drawn(n: int, kind: str, rng: Rng) -> Float32Array:
    """Draw shapes of a kind, anti-aliased."""
    side = n * OVERSAMPLED
    canvas = Image.new("L", (side, side))
    DRAWN[kind](ImageDraw.Draw(canvas), side, OVERSAMPLED, rng)
    small = canvas.resize((n, n), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def silhouette(n: int, thin: float, rng: Rng) -> Float32Array:
    """Draw the coverage (n, n) of a foreground in [0, 1]; a share `thin` is lines, twigs, text."""
    name = str(rng.choice(THIN if rng.random() < thin else SOLID))
    if name == "blob":
        return blob(n, rng)
    if name == "soft":
        return soft_blob(n, rng)
    return _drawn(n, name, rng)


def neighbors_of(segments: NDArray[np.integer], count: int) -> list[set[int]]:
    """Find the segments that touch each of the segments 0 … count - 1."""
    touching: list[set[int]] = [set() for _ in range(count)]
    for a, b in ((segments[:, 1:], segments[:, :-1]), (segments[1:], segments[:-1])):
        apart = a != b
        for code in np.unique(a[apart] * count + b[apart]):
            i, j = divmod(int(code), count)
            touching[i].add(j)
            touching[j].add(i)
    return touching


def outline_group(regions: NDArray[np.integer], rng: Rng) -> Float32Array | None:
    """Draw the coverage of neighboring segments that together fill 10 to 60 % of the window.

    Real depth edges coincide with edges of brightness; those of pasted shapes do not.
    Returns None if there are fewer than two segments, or the group fills nearly the whole window.
    """
    counts = np.bincount(regions.ravel())
    area = counts[counts > 0]
    count = len(area)
    if count < 2:
        return None
    segments = (np.cumsum(counts > 0) - 1)[regions]
    touching = neighbors_of(segments, count)
    wanted = rng.uniform(0.1, 0.6) * regions.size
    first = int(rng.choice(count, p=area / area.sum()))
    group, rim = {first}, set(touching[first])
    while rim and area[list(group)].sum() < wanted:
        chosen = sorted(rim)[rng.integers(len(rim))]
        group.add(chosen)
        rim = (rim | touching[chosen]) - group
    covered = np.isin(np.arange(count), list(group))
    if area[covered].sum() > 0.9 * regions.size:
        return None
    return covered[segments].astype(np.float32)


def fill_hidden(image: Float32Array, known: Float32Array) -> Float32Array:
    """Continue the `known` part (1, else 0) of an image smoothly into the rest.

    Unknown pixels get means of known ones over the smallest blocks that have any.
    """
    total, weight = image * known, known
    levels = [(total, weight)]
    while min(total.shape) % 2 == 0 and min(total.shape) > 4:
        total, weight = (
            x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3)) for x in (total, weight)
        )
        levels.append((total, weight))
    guess = np.full_like(total, float(image.mean()))
    for total, weight in reversed(levels):
        if guess.shape != total.shape:
            guess = ndimage.uniform_filter(guess.repeat(2, 0).repeat(2, 1), 3)
        guess = (total + np.float32(0.1) * guess) / (weight + np.float32(0.1))
    return np.where(known > 0.5, image, guess)


def wall(image: Float32Array, rng: Rng) -> Float32Array:
    """Draw a surface of one tone with a soft shade and hardly any structure."""
    n = image.shape[0]
    tone = float(image.mean()) + rng.uniform(-0.2, 0.2)
    shade = (ramp(n, rng) - np.float32(0.5)) * np.float32(rng.uniform(0, 0.3))
    texture = (image - image.mean()) * np.float32(rng.choice([0.0, 0.01, 0.03]))
    return np.clip(np.float32(tone) + shade + texture, 0, 1).astype(np.float32)


def expand_highlights(light: Float32Array, rng: Rng) -> Float32Array:
    """Restore the light of values near white: up to ten times white, in linear light."""
    start = np.float32(rng.uniform(0.6, 0.95))
    above = np.maximum(light - start, 0) / (1 - start)
    return np.asarray(light + np.float32(log_uniform(rng, 0.5, 10)) * above**2, np.float32)


def add_lamps(light: Float32Array, rng: Rng) -> Float32Array:
    """Put small lamps of 1.5 to 80 times white into a surface, in linear light."""
    n = light.shape[0]
    out = light.copy()
    radius, power = log_uniform(rng, 0.7, 3.5), log_uniform(rng, 1.5, 80)
    for _ in range(rng.integers(1, 25)):
        r = radius * rng.uniform(0.6, 1.4)
        y, x = rng.uniform(4, n - 5, 2)
        top, left, side = int(y - r - 1), int(x - r - 1), int(2 * r) + 4
        box = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
        part = out[box]
        rows = np.arange(box[0].start, box[0].start + part.shape[0])
        columns = np.arange(box[1].start, box[1].start + part.shape[1])
        disc = np.clip(r + 0.5 - np.hypot(rows[:, None] - y, columns - x), 0, 1)
        light_of_disc = np.float32(power * rng.uniform(0.5, 1))
        part += (light_of_disc - part) * disc.astype(np.float32)
    return out
