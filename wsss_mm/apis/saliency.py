"""Pseudo masks from CAM files and saliency maps, as SeeNet makes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsss_mm.functional import saliency_mask
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.io.saliency_file import load_saliency
from wsss_mm.utils.errors import InputError


def list_cams(folder: Path) -> list[str]:
    """List the images that a folder has CAM files of, by their names.

    Raises:
        InputError: If there is none.
    """
    found = sorted(folder.rglob('*.npz'))
    if not found:
        raise InputError(f'no .npz file in {folder}; run tools/gen_pseudo.py first')
    return [path.relative_to(folder).with_suffix('').as_posix() for path in found]


def write_saliency_masks(
    names: Sequence[str],
    *,
    cams: Path,
    saliency: Path,
    out: Path,
    metainfo: Mapping[str, Any],
    threshold: float = 0.3,
    conflict: float = 0.7,
    least_saliency: float = 32 / 255,
) -> None:
    """Turn CAM files and saliency maps into pseudo masks.

    Args:
        names: Of the images.
        cams: Folder of ``<name>.npz``.
        saliency: Folder of ``<name>.png``, 8-bit grey, of the size of the image.
        out: Folder that receives ``<name>.png``.
        metainfo: ``classes``, background first, and ``palette`` of the dataset.
        threshold: As of `wsss_mm.functional.saliency_mask`, like the next two.
        conflict: Attention of a second class from which a pixel is ignored.
        least_saliency: Saliency that an object needs, in [0, 1].

    Raises:
        InputError: If a threshold is not in [0, 1], a file is missing or damaged, or
            a saliency map has another size than the CAMs.
    """
    for option, value in dict(
        threshold=threshold, conflict=conflict, least_saliency=least_saliency
    ).items():
        if not 0 <= value <= 1:
            raise InputError(f'{option} is {value}; give a number in [0, 1]')
    output = OutputFolder(out, inputs=[cams, saliency])
    for name in names:
        classes, maps = load_cam(
            cams / f'{name}.npz', num_classes=len(metainfo['classes']) - 1
        )
        path = saliency / f'{name}.png'
        grey = load_saliency(path)
        if grey.shape != maps.shape[1:]:
            raise InputError(
                f'{path} is {grey.shape}, but the CAMs of {name} are '
                f'{maps.shape[1:]}; resize it to the image'
            )
        mask = saliency_mask(
            maps,
            classes,
            grey,
            threshold=threshold,
            conflict=conflict,
            least_saliency=least_saliency,
        )
        save_mask(output.path_of(name, '.png'), mask, metainfo['palette'])
