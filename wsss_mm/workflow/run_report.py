"""The HTML report of a method's run: its figures, its curve, its images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from wsss_mm import __version__
from wsss_mm.io.json_text import parse_json
from wsss_mm.io.limits import MOST_NOTE_BYTES, read_text
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import Finding, Gallery, Report, write_report
from wsss_mm.workflow.kept_files import settings_of
from wsss_mm.workflow.report_gallery import make_gallery
from wsss_mm.workflow.run_facts import duration, shown_facts
from wsss_mm.workflow.run_images import MASK_FOLDER, images_of_run

PICTURES = 300
WORDS = {
    'cam': 'CAMs at the background threshold of the masks',
    'pseudo_mask': 'masks of the CAMs, not refined',
    'segmentation': 'the segmenter that was trained on the masks',
}
# Which stages of `wsss run` make what a row shows.
MADE_BY = {
    'cam': ('train_cam', 'gen_pseudo'),
    'segmentation': ('train_segmenter', 'test_segmenter'),
}
NOTE = (
    'mIoU in percent, counted over all pixels of a list. The best threshold looks at '
    'true masks: use it to compare CAMs. The masks have a threshold that does not.'
)
NO_MASKS = (
    'There are no true masks, so nothing here is measured against any; the list below '
    'says what to look at instead.'
)
MIOU, TAG_MAP, TIME = 'mIoU [%]', 'tag mAP [%]', 'time'


def write_run_report(
    folder: Path,
    *,
    out: Path | None = None,
    pictures: int | None = PICTURES,
    workers: int = 0,
) -> Path:
    """Write the report of a folder that a method was run in.

    Args:
        folder: Work folder of `wsss run`, with its ``results.json``.
        out: The HTML file; ``report.html`` in the folder if None.
        pictures: How many images to show, those first that matter most; all if None.
        workers: Processes that read and draw images, 0 for none.

    Returns:
        The file.

    Raises:
        InputError: If the folder has no results, or a file of it is damaged.
    """
    results = read_results(folder / 'results.json')
    path = folder / 'report.html' if out is None else out
    stages, seconds = results['stages'], results['seconds']
    rated = any('mIoU' in figures for figures in stages.values())
    gallery, findings, classes = look_at_images(folder, results, pictures, workers)
    used = results.get('used') or {'wsss_mm': __version__, 'torch': torch.__version__}
    report = Report(
        title=f'{folder.resolve().name}: from image labels to a segmenter',
        stages=rows_of(stages, seconds, results.get('tag_mAP')),
        notes=[NOTE if rated else NO_MASKS],
        findings=findings,
        curves={
            name: figures['curve']
            for name, figures in stages.items()
            if figures.get('curve')
        },
        classes=bars_of(stages, classes),
        gallery=gallery,
        facts=shown_facts(used, seconds),
    )
    write_report(path, report)
    return path


def look_at_images(
    folder: Path, results: Mapping[str, Any], pictures: int | None, workers: int
) -> tuple[Gallery | None, list[Finding], tuple[str, ...]]:
    """Gather the gallery, the findings and the class names of a run."""
    if pictures is not None and pictures < 1:
        return None, [], ()
    files, classes = images_of_run(folder, chains_of(folder))
    if not files:
        return None, [], classes
    noted = settings_of(folder / MASK_FOLDER) or {}
    threshold = noted.get('threshold')
    if threshold is None:
        threshold = (results['stages'].get('cam') or {}).get('threshold')
    gallery, findings = make_gallery(
        files, classes, threshold=threshold, pictures=pictures, workers=workers
    )
    return gallery, findings, classes


def chains_of(folder: Path) -> list[str]:
    """Name the chains of refiners whose masks a folder holds, the latest last."""
    prefix = f'{MASK_FOLDER}_'
    found = [path for path in folder.glob(f'{prefix}*') if path.is_dir()]
    found.sort(key=lambda path: (path.stat().st_mtime, path.name))
    return [path.name[len(prefix) :] for path in found]


def read_results(path: Path) -> dict[str, Any]:
    """Read the figures of a run.

    Raises:
        InputError: If the file is missing or is not such a file.
    """
    if not path.is_file():
        raise InputError(f'no {path}; name the work folder of a finished `wsss run`')
    try:
        text = read_text(path, most=MOST_NOTE_BYTES, kind='a file of results')
        results: Any = parse_json(text, where=path)
    except InputError as error:
        raise InputError(
            f'{path}: not readable ({error}); run the method again'
        ) from error
    if not isinstance(results, dict) or not {'stages', 'seconds'} <= set(results):
        raise InputError(f'{path}: holds no stages and seconds, as `wsss run` writes')
    if not isinstance(results['seconds'], dict):
        raise InputError(f'{path}: is of the demo, which has a report.html beside it')
    return results


def rows_of(
    stages: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float],
    tag_map: float | None = None,
) -> list[dict[str, Any]]:
    """List the figures of the stages, one a row."""
    rows = []

    def add(text: str, tag: float | str, miou: float | str, name: str) -> None:
        made_by = MADE_BY.get(name, (f'refine_{name}',))
        times = [seconds[stage] for stage in made_by if stage in seconds]
        time = duration(sum(times)) if times else '-'
        rows.append({'stage': text, TAG_MAP: tag, MIOU: miou, TIME: time})

    if tag_map is not None or 'train_cam' in seconds:
        add(
            'CAM network, scored by its tags',
            '-' if tag_map is None else tag_map,
            '-',
            'cam',
        )
    for name, figures in stages.items():
        if 'mIoU_best' in figures:
            best = f'CAMs at the best threshold, {figures["best_threshold"]:.2f}'
            add(best, '-', float(figures['mIoU_best']), '')
        text = WORDS.get(name, f'masks refined by {name}')
        shown = '' if name == 'cam' else name
        add(text, '-', float(figures['mIoU']), shown)
    if not stages:
        add('masks and segmenter: no true masks are configured', '-', '-', '')
    return rows


def bars_of(
    stages: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Arrange the IoU of each class by stage, in percent.

    Args:
        stages: Figures of each stage.
        names: Of the classes, in the order of the figures.
    """
    columns = {
        'IoU of ' + {'cam': 'CAMs', 'pseudo_mask': 'raw masks'}.get(name, name): [
            *figures['classes'].items()
        ]
        for name, figures in stages.items()
        if figures.get('classes')
    }
    if not columns:
        return {}
    first = next(iter(columns.values()))
    shown = names if len(names) == len(first) else [name for name, _ in first]
    return {
        name: {
            column: figures[i][1]['IoU'] if i < len(figures) else None
            for column, figures in columns.items()
        }
        for i, name in enumerate(shown)
    }
