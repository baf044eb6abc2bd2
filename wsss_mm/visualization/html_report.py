"""One self-contained HTML page: figures, threshold curve and pictures of a run."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

from .curve import COLOURS, Curve, draw_curve

Picture = npt.NDArray[np.uint8]

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1.5rem 1rem 3rem; color: #1d2733;
  background: #fff; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0; }
.note { color: #5a6675; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { padding: .4rem .7rem; text-align: left; border-bottom: 1px solid #e3e8ee; }
th { font-weight: 600; background: #f5f7f9; }
.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem;
  margin: 0; }
dt { color: #5a6675; } dd { margin: 0; overflow-wrap: anywhere; }
svg { width: 100%; max-width: 720px; height: auto; font: 11px system-ui, sans-serif; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .9rem; }
.key i { display: inline-block; width: 1.1rem; height: .25rem; margin-right: .4rem;
  vertical-align: middle; }
.sample { border-top: 1px solid #e3e8ee; padding: .8rem 0; }
.sample h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .4rem; }
.row { display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
.tag { display: inline-block; margin-left: .4rem; padding: 0 .5rem; border-radius: 1rem;
  background: #e8f1f5; color: #0b4a66; font-weight: 400; font-size: .85rem; }
figure { margin: 0; }
figure img { width: 100%; display: block; border-radius: 3px; }
figcaption { font-size: .8rem; color: #5a6675; }
"""


def write_report(
    path: str | Path,
    *,
    title: str,
    stages: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]] = (),
    curves: Mapping[str, Curve] | None = None,
    facts: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write a report that needs no other file and no network.

    Args:
        path: The HTML file; written whole or not at all.
        title: Heading of the page.
        stages: Rows of the table of stages; all have the same keys, which are the
            headings. Floats are shown with one decimal.
        samples: Each a dict with `name`, the heading, `pictures`, a dict from
            caption to RGB array (H, W, 3) whose order is kept, and, if known,
            `tags`, the names of its image tags.
        curves: Threshold curves by name, points with `threshold` and `mIoU`.
        facts: What was run: seed, seconds, versions.
        notes: Paragraphs below the heading.

    Raises:
        ValueError: If rows have different keys or a picture is no RGB array.
    """
    body = [f'<h1>{escape(title)}</h1>']
    body += [f'<p>{escape(note)}</p>' for note in notes]
    body += ['<h2>Stages</h2>', _table(stages)]
    if curves:
        body += ['<h2>Background threshold</h2>', _curves(curves)]
    if samples:
        body.append('<h2>Pictures</h2>')
        body += [_sample(sample) for sample in samples]
    if facts:
        body.append('<h2>This run</h2><dl>')
        body += [
            f'<dt>{escape(str(key))}</dt><dd>{escape(_text(value))}</dd>'
            for key, value in facts.items()
        ]
        body.append('</dl>')
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n'
        + '\n'.join(body)
        + '\n</body></html>\n'
    )
    with atomic_write(path) as temporary:
        Path(temporary).write_text(page, encoding='utf-8')


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        raise InputError('the table of stages has no row')
    headings = list(rows[0])
    for row in rows:
        if list(row) != headings:
            raise InputError(f'stage rows must share the keys {headings}, got {[*row]}')
    kinds = {key: _kind([row[key] for row in rows]) for key in headings}
    head = ''.join(f'<th{kinds[key]}>{escape(str(key))}</th>' for key in headings)
    lines = [
        ''.join(f'<td{kinds[key]}>{escape(_text(row[key]))}</td>' for key in headings)
        for row in rows
    ]
    cells = ''.join(f'<tr>{line}</tr>' for line in lines)
    return f'<div class="scroll"><table><tr>{head}</tr>{cells}</table></div>'


def _kind(column: Sequence[Any]) -> str:
    numbers = any(isinstance(value, int | float) for value in column)
    return ' class="number"' if numbers else ''


def _text(value: Any) -> str:
    return f'{value:.1f}' if isinstance(value, float) else str(value)


def _curves(curves: Mapping[str, Curve]) -> str:
    key = ''.join(
        f'<span><i style="background:{COLOURS[i % len(COLOURS)]}"></i>'
        f'{escape(name)}</span>'
        for i, name in enumerate(curves)
    )
    return (
        f'{draw_curve(curves)}<div class="key">{key}</div>'
        '<p class="note">The dot marks the best threshold. Finding it takes ground '
        'truth, which a weakly supervised user does not have.</p>'
    )


def _sample(sample: Mapping[str, Any]) -> str:
    figures = ''.join(
        f'<figure><img alt="{escape(caption)}" src="{_data_url(picture)}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
        for caption, picture in sample['pictures'].items()
    )
    tags = ''.join(
        f'<span class="tag">{escape(tag)}</span>' for tag in sample.get('tags', ())
    )
    return (
        f'<div class="sample"><h3>{escape(str(sample["name"]))}{tags}</h3>'
        f'<div class="row">{figures}</div></div>'
    )


def _data_url(picture: Picture) -> str:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            f'a picture must be uint8 of shape (H, W, 3), got {picture.dtype} of '
            f'shape {picture.shape}'
        )
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format='PNG', optimize=True)
    return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()
