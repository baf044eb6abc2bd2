"""The report of a run: one HTML page of figures, curves and a gallery of images.

Style and script stand in ``report.css`` and ``report.js`` beside this module and go
into the page, which needs no network and no library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

from .curve import Curve, draw_curve, line_colours
from .gallery_page import Gallery, gallery_section, viewer_dialog

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a person should look at.

    Attributes:
        text: What it is.
        remark: Kind of the remarks that show it, see `gallery.mask_remarks`.
        class_index: Index of the class that shows it, background 0.
    """

    text: str
    remark: str = ''
    class_index: int | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report says.

    Attributes:
        title: Heading of the page.
        stages: Rows of the table of stages; all have the same keys, which are the
            headings. Floats are shown with one decimal.
        notes: Paragraphs below the heading.
        findings: What to look at first.
        curves: Threshold curves by name, points with `threshold` and `mIoU`.
        classes: For each class a value in percent by column, the columns the same for
            all; None where there is none.
        gallery: The images; None for a report without.
        facts: What was run: commit, command, seed, device, seconds.
    """

    title: str
    stages: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    gallery: Gallery | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_report(path: str | Path, report: Report) -> None:
    """Write a report.

    The pictures of the first images are part of the page, those of the others lie in
    ``<name>_pictures`` beside it and are read when they are shown.

    Args:
        path: The HTML file; written whole or not at all.
        report: What it says.

    Raises:
        InputError: If rows have different keys or a file cannot be written.
    """
    path = Path(path)
    parts = [f'<h1>{escape(report.title)}</h1>']
    parts += [f'<p>{escape(note)}</p>' for note in report.notes]
    if report.findings:
        parts += ['<h2>Look at these first</h2>', _findings(report.findings)]
    parts += ['<h2>Stages</h2>', _table(report.stages)]
    if report.curves:
        parts += ['<h2>Background threshold</h2>', _curves(report.curves)]
    if report.classes:
        parts += ['<h2>Classes</h2>', _bars(report.classes)]
    script = ''
    if report.gallery is not None:
        parts.append(gallery_section(report.gallery, path))
        script = f'<script>{(HERE / "report.js").read_text(encoding="utf-8")}</script>'
    if report.facts:
        parts += ['<h2>This run</h2>', _facts(report.facts)]
    if report.gallery is not None:
        parts.append(viewer_dialog())
    style = (HERE / 'report.css').read_text(encoding='utf-8')
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(report.title)}</title><style>{style}</style></head>\n'
        '<body>\n<main>\n' + '\n'.join(parts) + f'\n</main>\n{script}</body></html>\n'
    )
    with atomic_write(path) as temporary:
        Path(temporary).write_text(page, encoding='utf-8')


def _findings(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        button = ''
        if finding.remark or finding.class_index is not None:
            index = '' if finding.class_index is None else finding.class_index
            button = (
                f'<button type="button" data-remark="{escape(finding.remark)}" '
                f'data-class="{index}">Show the images</button>'
            )
        lines.append(f'<li><span>{escape(finding.text)}</span>{button}</li>')
    return f'<ul class="look">{"".join(lines)}</ul>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        raise InputError('the table of stages has no row')
    headings = list(rows[0])
    for row in rows:
        if list(row) != headings:
            raise InputError(f'stage rows must share the keys {headings}, got {[*row]}')
    kinds = {key: _kind([row[key] for row in rows]) for key in headings}
    head = ''.join(
        f'<th scope="col"{kinds[key]}>{escape(str(key))}</th>' for key in headings
    )
    first, *others = headings
    lines = [
        f'<th scope="row"{kinds[first]}>{escape(_text(row[first]))}</th>'
        + ''.join(f'<td{kinds[key]}>{escape(_text(row[key]))}</td>' for key in others)
        for row in rows
    ]
    cells = ''.join(f'<tr>{line}</tr>' for line in lines)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of stages">'
        f'<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div>'
    )


def _kind(column: Sequence[Any]) -> str:
    numbers = any(isinstance(value, int | float) for value in column)
    return ' class="number"' if numbers else ''


def _text(value: Any) -> str:
    return f'{value:.1f}' if isinstance(value, float) else str(value)


def _curves(curves: Mapping[str, Curve]) -> str:
    key = ''.join(
        f'<li><i style="background:{colour}"></i>{escape(name)}: {_best(curve)}</li>'
        for (name, curve), colour in zip(curves.items(), line_colours(curves))
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Curve">'
        f'{draw_curve(curves)}</div><ul class="key">{key}</ul>'
        '<p class="note">The dot marks the best threshold. Finding it takes true '
        'masks, which a weakly supervised user does not have.</p>'
    )


def _best(curve: Curve) -> str:
    best = max(curve, key=lambda point: point['mIoU'])
    return f'best {best["mIoU"]:.1f} % at {best["threshold"]:.2f}'


def _bars(classes: Mapping[str, Mapping[str, float | None]]) -> str:
    headings = list(next(iter(classes.values())))
    head = ''.join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    lines = []
    for name, values in classes.items():
        if list(values) != headings:
            raise InputError(f'class rows must share the keys {headings}')
        cells = ''.join(_bar(value) for value in values.values())
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of classes">'
        f'<table><thead><tr><th scope="col">class</th>{head}</tr></thead>'
        f'<tbody>{"".join(lines)}</tbody></table></div>'
    )


def _bar(value: float | None) -> str:
    if value is None:
        return '<td class="bar">-</td>'
    width = min(100.0, max(0.0, value))
    track = f'<span><i style="width:{width:.1f}%"></i></span>'
    return f'<td class="bar"><div>{track}<b>{value:.1f}</b></div></td>'


def _facts(facts: Mapping[str, Any]) -> str:
    lines = [
        f'<dt>{escape(str(key))}</dt><dd>{escape(_text(value))}</dd>'
        for key, value in facts.items()
    ]
    return f'<dl>{"".join(lines)}</dl>'
