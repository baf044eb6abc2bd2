"""The HTML report of a method's run: its figures, its curve, some CAMs and masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from wsss_mm import __version__
from wsss_mm.datasets.image_files import ImageFolder
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.json_text import parse_json
from wsss_mm.io.limits import MOST_NOTE_BYTES, read_text
from wsss_mm.io.mask_file import load_mask
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import draw_cam, draw_mask, write_report
from wsss_mm.workflow.folders import mask_folder
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.nested_datasets import plain_datasets

WORDS = {
    'cam': 'CAMs at the background threshold of the masks',
    'pseudo_mask': 'masks of the CAMs, not refined',
    'segmentation': 'the segmenter that was trained on the masks',
}
NOTE = (
    'mIoU in percent, counted over all pixels of a list. The best threshold looks at '
    'true masks: use it to compare CAMs. The masks have a threshold that does not.'
)


def write_run_report(
    folder: Path, *, out: Path | None = None, pictures: int = 8
) -> Path:
    """Write the report of a folder that a method was run in.

    Args:
        folder: Work folder of `wsss run`, with its ``results.json``.
        out: The HTML file; ``report.html`` in the folder if None.
        pictures: How many images to show, the first in the order of their names.

    Returns:
        The file.

    Raises:
        InputError: If the folder has no results, or a file of it is damaged.
    """
    results = read_results(folder / 'results.json')
    path = folder / 'report.html' if out is None else out
    write_report(
        path,
        title=f'{folder.resolve().name}: from image labels to a segmenter',
        stages=rows_of(results['stages']),
        samples=samples_of(folder, results['stages'], pictures),
        curves={
            name: figures['curve']
            for name, figures in results['stages'].items()
            if figures.get('curve')
        },
        facts={
            'seconds': ', '.join(f'{k} {v:.0f}' for k, v in results['seconds'].items()),
            'wsss_mm': __version__,
            'torch': torch.__version__,
        },
        notes=[NOTE],
    )
    return path


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


def rows_of(stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List the figures of the stages, one a row."""
    rows = []
    for name, figures in stages.items():
        text = WORDS.get(name, f'masks refined by {name}')
        if 'mIoU_best' in figures:
            best = f'CAMs at the best threshold, {figures["best_threshold"]:.2f}'
            rows.append({'stage': best, 'mIoU [%]': float(figures['mIoU_best'])})
        rows.append({'stage': text, 'mIoU [%]': float(figures['mIoU'])})
    return rows or [{'stage': 'no true masks are configured', 'mIoU [%]': '-'}]


def samples_of(
    folder: Path, stages: Mapping[str, Any], pictures: int
) -> list[dict[str, Any]]:
    """Put what the stages made of some images side by side."""
    configs = sorted((folder / 'cam').glob('*.py'))
    if not configs or not pictures:
        return []
    cfg = load_config(str(configs[0]))
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    data = plain_datasets(cfg.test_dataloader.dataset)[0]
    options = dict(data, pipeline=[], lazy_init=True)
    dataset = DATASETS.build(options)
    images = ImageFolder(dataset.data_prefix['img_path'])
    chains = [
        name for name in ('none', *stages) if (folder / mask_folder(name)).is_dir()
    ]
    cams = folder / 'cams'
    files = sorted(cams.rglob('*.npz'))[:pictures]
    samples = []
    for file in files:
        name = file.relative_to(cams).with_suffix('').as_posix()
        image = read_rgb(images.root / images.find(name, source=cams))
        found = {'image': image, 'CAM': draw_cam(image, load_cam(file)[1])}
        for chain in chains:
            mask = folder / mask_folder(chain) / f'{name}.png'
            if mask.is_file():
                caption = 'mask' if chain == 'none' else f'mask, {chain}'
                palette = dataset.metainfo['palette']
                found[caption] = draw_mask(image, load_mask(mask), palette)
        samples.append(dict(name=name, pictures=found))
    return samples
