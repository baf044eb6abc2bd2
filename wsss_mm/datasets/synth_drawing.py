"""Draw the images of SynthVOC: backgrounds, bodies and class parts.

A body is a shape filled with a texture that every class shares, so it says
nothing about the class; the class is the figure and the paint of a small part
near one end. Bodies and backgrounds come in every hue, so paint alone misleads.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

PARTS = ('ring', 'cross', 'star', 'stripes', 'triangle', 'eye', 'grid', 'crescent')
BODIES = ('ellipse', 'superellipse', 'polygon', 'blob', 'limbed')
FILLS = ('speckle', 'weave', 'scales')
BACKGROUNDS = ('clouds', 'stripes', 'checker', 'gradient', 'cells')
SUPERSAMPLE = 2
# No figure of a part, the corners of the grid included, goes this far from its centre.
FARTHEST = 1.25


@dataclass(frozen=True)
class Shape:
    """One object: its coverage of each pixel and its colours.

    Attributes:
        coverage: Share of each pixel inside body or part, shape (H, W).
        part: Pixels of the disc that holds the class part, shape (H, W).
        part_area: Pixels that disc would have without the image border.
        colour: What to paint, shape (H, W, 3), in [0, 1].
        whole_area: Pixels the object would have without the image border.
    """

    coverage: Array
    part: Mask
    part_area: float
    colour: Array
    whole_area: float


def smooth_noise(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> Array:
    """Interpolate a random grid with `cells` knots a side, values in [-1, 1]."""
    height, width = shape
    knots = rng.uniform(-1, 1, (max(cells, 2), max(cells, 2))).astype(np.float32)
    image = Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(image, np.float64), -1, 1)


def random_colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Array:
    """Draw an RGB colour of any hue, shape (3,), in [0, 1]."""
    rgb = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return np.asarray(rgb)


def oriented(
    shape: tuple[int, int], period: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Give pixel coordinates on two turned axes, in radians per `period`."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = rng.uniform(0, np.pi)
    scale = 2 * np.pi / period
    along = (np.cos(angle) * x + np.sin(angle) * y) * scale
    across = (np.cos(angle) * y - np.sin(angle) * x) * scale
    return along + rng.uniform(0, 2 * np.pi), across + rng.uniform(0, 2 * np.pi)


def draw_texture(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Fill an image with one of the `BACKGROUNDS`, shape (H, W, 3)."""
    side = max(shape)
    first, second = (random_colour(rng, (0.05, 0.6), (0.2, 0.95)) for _ in range(2))
    if kind == 'clouds':
        mix = sum(
            smooth_noise(shape, cells, rng) / 1.6**octave
            for octave, cells in enumerate((3, 6, 12, 24, 48))
        )
        weight = 1 / (1 + np.exp(-3 * np.asarray(mix)))
    elif kind == 'stripes':
        along, _ = oriented(shape, side * rng.uniform(0.1, 0.3), rng)
        weight = 1 / (1 + np.exp(-4 * np.sin(along + smooth_noise(shape, 4, rng))))
    elif kind == 'checker':
        along, across = oriented(shape, side * rng.uniform(0.18, 0.4), rng)
        weight = 1 / (1 + np.exp(-12 * np.sin(along) * np.sin(across)))
    elif kind == 'gradient':
        along, _ = oriented(shape, side * rng.uniform(1.5, 3), rng)
        weight = (1 + np.sin(along)) / 2
    else:
        weight = voronoi_tones(shape, int(rng.integers(6, 16)), rng)
    weight = np.clip(weight + 0.08 * smooth_noise(shape, side // 3, rng), 0, 1)
    filled: Array = first + (second - first) * weight[..., None]
    return filled


def voronoi_tones(
    shape: tuple[int, int], cells: int, rng: np.random.Generator
) -> Array:
    """Give every pixel the random tone of its nearest seed point."""
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    seeds = rng.random((cells, 2)) * shape
    distance = np.stack([(y - sy) ** 2 + (x - sx) ** 2 for sy, sx in seeds])
    tones: Array = rng.random(cells)[distance.argmin(axis=0)]
    return tones


def draw_background(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw a texture and a few smooth distractor blobs over it, (H, W, 3)."""
    canvas = draw_texture(str(rng.choice(BACKGROUNDS)), shape, rng)
    for _ in range(rng.integers(1, 5)):
        length = max(shape) * rng.uniform(0.1, 0.4)
        centre = rng.random(2) * shape
        u, v = body_axes(shape, centre, length, rng)
        inside = coverage_of(body_mask(str(rng.choice(BODIES[:4])), u, v, rng))
        fill = draw_texture(str(rng.choice(BACKGROUNDS)), shape, rng)
        canvas = canvas + (fill - canvas) * inside[..., None]
    return canvas


def fine_grid(shape: tuple[int, int]) -> tuple[Array, Array]:
    """Give y and x, in pixels, of the supersampled positions."""
    steps = [(np.arange(n * SUPERSAMPLE) + 0.5) / SUPERSAMPLE - 0.5 for n in shape]
    y, x = np.meshgrid(*steps, indexing='ij')
    return y, x


def coverage_of(fine: Mask) -> Array:
    """Average a supersampled mask (sH, sW) to the share of each pixel (H, W)."""
    s = SUPERSAMPLE
    hits = sum(fine[i::s, j::s].astype(np.uint8) for i in range(s) for j in range(s))
    return np.asarray(hits) / s**2


def body_axes(
    shape: tuple[int, int], centre: Array, length: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Give fine coordinates along and across a turned body, +-1 at its ends."""
    y, x = fine_grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    half = length / 2
    dx, dy = x - centre[1], y - centre[0]
    along = (np.cos(angle) * dx + np.sin(angle) * dy) / half
    across = (np.cos(angle) * dy - np.sin(angle) * dx) / half
    return along, across / rng.uniform(0.5, 0.85)


def body_mask(kind: str, u: Array, v: Array, rng: np.random.Generator) -> Mask:
    """Mark the inside of one of the `BODIES` whose ends lie near u, v = +-1."""
    if kind == 'ellipse':
        return u**2 + v**2 < 1
    if kind == 'superellipse':
        u2, v2 = u * u, v * v
        if rng.random() < 0.5:
            return u2 * u2 + v2 * v2 < 0.95
        return u2 * u2 * u2 + v2 * v2 * v2 < 0.95
    if kind == 'polygon':
        radius, angle = np.hypot(u, v), np.arctan2(v, u)
        sector = 2 * np.pi / int(rng.integers(4, 8))
        turned = np.mod(angle + rng.uniform(0, sector), sector)
        reach = radius * np.cos(turned - sector / 2)
        return np.asarray(reach < np.cos(sector / 2) * 1.1)
    if kind == 'blob':
        radius, angle = np.hypot(u, v), np.arctan2(v, u)
        waves = [
            rng.uniform(0.04, 0.13) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
            for k in (2, 3, 5)
        ]
        return np.asarray(radius < 0.9 + np.sum(waves, axis=0))
    inside = (u / 0.8) ** 2 + (v / 0.65) ** 2 < 1
    for _ in range(rng.integers(3, 6)):
        tip = rng.uniform(0, 2 * np.pi)
        along = np.clip(u * np.cos(tip) + v * np.sin(tip), 0, 0.95)
        gap = np.hypot(u - along * np.cos(tip), v - along * np.sin(tip))
        inside |= gap < rng.uniform(0.16, 0.24)
    return inside


def draw_fill(shape: tuple[int, int], base: Array, rng: np.random.Generator) -> Array:
    """Fill an image with a fine texture around one colour, (H, W, 3)."""
    kind = str(rng.choice(FILLS))
    grain = max(shape) / 128
    if kind == 'speckle':
        cells = int(max(shape) / (grain * rng.uniform(1.2, 2)))
        tone = np.sign(smooth_noise(shape, cells, rng))
    else:
        along, across = oriented(shape, grain * rng.uniform(4, 7), rng)
        if kind == 'weave':
            tone = np.sign(np.sin(along) * np.sin(across))
        else:
            tone = np.clip(3 * np.sin(along + np.abs(np.sin(across / 2)) * 3), -1, 1)
    tone = tone + 0.5 * smooth_noise(shape, 8, rng)
    tint = rng.uniform(-0.06, 0.06, 3)
    relief = tone[..., None]
    return np.asarray(np.clip(base * (1 + 0.22 * relief) + tint * relief, 0, 1))


def part_figure(kind: str, x: Array, y: Array) -> tuple[Mask, Mask]:
    """Mark figure and ground of a part in coordinates where its disc has radius 1.

    Returns:
        The figure, painted in the part's first colour, and the ground, painted
        in its second colour; pixels in neither keep the body.
    """
    radius = np.hypot(x, y)
    disc = radius < 1
    nothing = np.zeros_like(disc)
    if kind == 'ring':
        return disc & (radius > 0.5), nothing
    if kind == 'cross':
        bar = (np.abs(x) < 0.27) | (np.abs(y) < 0.27)
        return bar & (np.maximum(np.abs(x), np.abs(y)) < 0.95), nothing
    if kind == 'star':
        turned = np.mod(np.arctan2(y, x) + np.pi / 2, 2 * np.pi / 5) - np.pi / 5
        return radius < 0.42 + 0.7 * (np.abs(turned) / (np.pi / 5)) ** 1.3, nothing
    if kind == 'stripes':
        band = np.mod(x / 0.8 + 0.25, 1) < 0.5
        return disc & band, disc & ~band
    if kind == 'triangle':
        return (y < 0.6) & (y > np.abs(x) * 1.732 - 1.05), nothing
    if kind == 'eye':
        lens = (y / 0.62) ** 2 + x**2 < 1
        pupil = radius < 0.36
        return lens & ~pupil, pupil
    if kind == 'grid':
        square = np.maximum(np.abs(x), np.abs(y)) < 0.85
        line = (np.mod(x / 0.66 + 0.3, 1) < 0.4) | (np.mod(y / 0.66 + 0.3, 1) < 0.4)
        return square & line, square & ~line
    return disc & (np.hypot(x - 0.5, y) > 0.72), nothing


def neighbourhood(x: Array, y: Array) -> tuple[slice, slice]:
    """Find the rows and columns that a part can reach, from unturned coordinates."""
    rows = np.flatnonzero(np.abs(y[:, 0]) < FARTHEST)
    columns = np.flatnonzero(np.abs(x[0]) < FARTHEST)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def part_colour(kind: str, rng: np.random.Generator) -> Array:
    """Draw the paint typical of a class part, shape (3,): strong, of its own hue."""
    hue = PARTS.index(kind) / len(PARTS) + rng.uniform(-0.035, 0.035)
    return np.asarray(
        colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.85, 1), rng.uniform(0.85, 1))
    )


def contrasting(colour: Array, rng: np.random.Generator, *, least: float) -> Array:
    """Draw a colour at least `least` away in RGB from another."""
    best, gap = colour, -1.0
    for _ in range(12):
        candidate = random_colour(rng, (0.1, 0.8), (0.1, 1.0))
        distance = float(np.linalg.norm(candidate - colour))
        if distance >= least:
            return candidate
        if distance > gap:
            best, gap = candidate, distance
    return best


def draw_object(
    part: str,
    shape: tuple[int, int],
    centre: Array,
    length: float,
    *,
    behind: Array,
    rng: np.random.Generator,
) -> Shape:
    """Draw one object of class `part`; its colour stands out from `behind` (3,)."""
    u, v = body_axes(shape, centre, length, rng)
    body = body_mask(str(rng.choice(BODIES)), u, v, rng)
    # A unit of u by a unit of v is this many pixels; the ellipse is a fair
    # stand-in for any of the bodies and does not shrink at the image border.
    du = np.hypot(u[0, 1] - u[0, 0], u[1, 0] - u[0, 0])
    dv = np.hypot(v[0, 1] - v[0, 0], v[1, 0] - v[0, 0])
    whole = np.pi / (du * dv) / SUPERSAMPLE**2
    radius = max(np.sqrt(rng.uniform(0.1, 0.15) * whole / np.pi), 5 * max(shape) / 128)

    at = np.argmin((u - rng.uniform(0.42, 0.6)) ** 2 + v**2)
    y, x = fine_grid(shape)
    dy, dx = (y - y.flat[at]) / radius, (x - x.flat[at]) / radius
    turn = rng.uniform(-0.4, 0.4)
    figure, ground, disc = np.zeros((3, *body.shape), bool)
    near = neighbourhood(dx, dy)
    dx, dy = dx[near], dy[near]
    figure[near], ground[near] = part_figure(
        part,
        np.cos(turn) * dx + np.sin(turn) * dy,
        np.cos(turn) * dy - np.sin(turn) * dx,
    )
    disc[near] = np.hypot(dx, dy) < 1

    base = 0.15 + 0.75 * contrasting(behind, rng, least=0.5)
    colour = draw_fill(shape, base, rng)
    first = part_colour(part, rng)
    second = contrasting(first, rng, least=0.75)
    for marks, paint in ((figure, first), (ground, second)):
        colour = colour + (paint - colour) * coverage_of(marks)[..., None]
    return Shape(
        coverage=coverage_of(body | figure | ground),
        part=coverage_of(disc) > 0.5,
        part_area=float(np.pi * radius**2),
        colour=colour,
        whole_area=float(whole),
    )
