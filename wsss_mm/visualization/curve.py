"""The threshold curve: mIoU against the background threshold."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

Curve = Sequence[Mapping[str, float]]

COLOURS = (
    *('#0b6e99', '#c8501e', '#4b7f2f', '#7a4fa3'),
    *('#1d2733', '#b08900', '#c2387a', '#4fa3a5'),
)
_WIDTH, _HEIGHT = 640.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 12.0, 12.0, 40.0


def save_curve(path: str | Path, curves: Mapping[str, Curve]) -> None:
    """Draw threshold curves into a PNG file.

    Args:
        path: The picture; written whole or not at all.
        curves: For each name the points, with `threshold` and `mIoU` in percent.

    Raises:
        ValueError: If there is no point to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _check(curves)
    figure = Figure(figsize=(6.4, 4.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, points), colour in zip(curves.items(), _colours(curves)):
        best = max(points, key=lambda point: point['mIoU'])
        label = f'{name}: {best["mIoU"]:.2f} at {best["threshold"]:.2f}'
        xs = [point['threshold'] for point in points]
        ys = [point['mIoU'] for point in points]
        axes.plot(xs, ys, color=colour, label=label)
        axes.plot(best['threshold'], best['mIoU'], 'o', color=colour)
    axes.set_xlabel('background threshold')
    axes.set_ylabel('mIoU (%)')
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(title='best (looks at ground truth)')
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, format='png')


def draw_curve(curves: Mapping[str, Curve]) -> str:
    """Draw threshold curves as one inline SVG element.

    Args:
        curves: For each name the points, with `threshold` and `mIoU` in percent.

    Returns:
        The SVG, names escaped.

    Raises:
        ValueError: If there is no point to draw.
    """
    _check(curves)
    points = [point for curve in curves.values() for point in curve]
    x_max = math.ceil(10 * max(point['threshold'] for point in points)) / 10 or 1.0
    y_max = 10.0 * (int(max(point['mIoU'] for point in points) // 10) + 1)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" '
        'aria-label="mIoU against background threshold">'
    ]
    parts += _axes(x_max, y_max)
    for (name, curve), colour in zip(curves.items(), _colours(curves)):
        xy = [
            (_x(point['threshold'], x_max), _y(point['mIoU'], y_max)) for point in curve
        ]
        line = ' '.join(f'{x:.1f},{y:.1f}' for x, y in xy)
        best = max(range(len(curve)), key=lambda i: curve[i]['mIoU'])
        x, y = xy[best]
        title = (
            f'{escape(name)}: best {curve[best]["mIoU"]:.1f} % at '
            f'{curve[best]["threshold"]:.2f}'
        )
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" '
            f'stroke-width="2"><title>{title}</title></polyline>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
            f'<title>{title}</title></circle>'
        )
    parts.append('</svg>')
    return ''.join(parts)


def _axes(x_max: float, y_max: float) -> list[str]:
    parts = []
    step = 10 if y_max <= 60 else 20
    for value in range(0, int(y_max) + 1, step):
        y = _y(value, y_max)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
        )
    ticks = round(10 * x_max)
    for i in range(ticks + 1):
        tick = x_max * i / ticks
        parts.append(
            f'<text x="{_x(tick, x_max):.1f}" y="{_HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{tick:.1f}</text>'
        )
    parts.append(
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        'background threshold (vertical: mIoU, %)</text>'
    )
    return parts


def _x(threshold: float, x_max: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * threshold / x_max


def _y(miou: float, y_max: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * miou / y_max


def _colours(curves: Mapping[str, Curve]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(curves))]


def _check(curves: Mapping[str, Curve]) -> None:
    if not curves:
        raise InputError('there is no curve to draw')
    empty = [name for name, points in curves.items() if not points]
    if empty:
        raise InputError(f'the curve {empty[0]!r} has no point')
