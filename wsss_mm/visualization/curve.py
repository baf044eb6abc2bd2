"""The threshold curve: mIoU against the background threshold."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

Curve = Sequence[Mapping[str, float]]

# 3:1 and more on a white page and on a dark one.
COLOURS = (
    *('#1f87b5', '#d2601a', '#5d9140', '#9168c0'),
    *('#8b7a1e', '#d0508f', '#3b9193', '#7d8894'),
)
# Stand-ins that `draw_curve` replaces by the page's colours.
_NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
_INK, _GRID = '#010203', '#040506'


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
    for (name, points), colour in zip(curves.items(), line_colours(curves)):
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

    Its text has the colour of the page's text, so that it suits a light page and a
    dark one. Each line is a group with the id ``curve_0``, ``curve_1`` and so on.

    Args:
        curves: For each name the points, with `threshold` and `mIoU` in percent.

    Returns:
        The SVG, with a description for those who do not see it.

    Raises:
        ValueError: If there is no point to draw.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    _check(curves)
    settings: Any = {'svg.fonttype': 'none', 'svg.hashsalt': 'wsss_mm', 'font.size': 10}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(7.2, 3.4), layout='constrained')
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for i, (curve, colour) in enumerate(zip(curves.values(), line_colours(curves))):
            best = max(curve, key=lambda point: point['mIoU'])
            xs = [point['threshold'] for point in curve]
            ys = [point['mIoU'] for point in curve]
            axes.plot(xs, ys, color=colour, linewidth=2, gid=f'curve_{i}')
            axes.plot(
                best['threshold'], best['mIoU'], 'o', color=colour, gid=f'best_{i}'
            )
        _dress(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', transparent=True, metadata=_NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index('<svg') :]
    # matplotlib has no word for the colour of the page's text and lines.
    text = text.replace(_INK, 'currentColor').replace(_GRID, 'var(--line, #d5dce3)')
    label = escape(f'mIoU against the background threshold: {_in_words(curves)}')
    return text.replace('<svg', f'<svg role="img" aria-label="{label}"', 1)


def _dress(axes: Any) -> None:
    axes.set_xlabel('background threshold', color=_INK)
    axes.set_ylabel('mIoU (%)', color=_INK)
    axes.set_ylim(bottom=0)
    axes.grid(color=_GRID)
    axes.tick_params(colors=_INK)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_color(_INK)
        spine.set_visible(side in ('left', 'bottom'))


def _in_words(curves: Mapping[str, Curve]) -> str:
    bests = {
        name: max(curve, key=lambda point: point['mIoU'])
        for name, curve in curves.items()
    }
    return '; '.join(
        f'{name} is best, {best["mIoU"]:.1f} %, at {best["threshold"]:.2f}'
        for name, best in bests.items()
    )


def line_colours(curves: Mapping[str, Curve]) -> list[str]:
    """Choose a colour for each curve, as hexadecimal text."""
    return [COLOURS[i % len(COLOURS)] for i in range(len(curves))]


def _check(curves: Mapping[str, Curve]) -> None:
    if not curves:
        raise InputError('there is no curve to draw')
    empty = [name for name, points in curves.items() if not points]
    if empty:
        raise InputError(f'the curve {empty[0]!r} has no point')
