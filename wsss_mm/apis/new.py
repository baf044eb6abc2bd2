"""Start a project: from photographs and their tags to configs of a method."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from wsss_mm.datasets.image_files import result_name
from wsss_mm.datasets.image_label_dataset import BACKGROUND, check_stems
from wsss_mm.datasets.tag_formats import (
    list_photos,
    match_photos,
    read_tag_table,
)
from wsss_mm.datasets.tags import write_tag_file
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.open_image import open_image
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.parallel import map_ordered
from wsss_mm.workflow.clip_project import CLIPChoice, choose_clip, describe_clip
from wsss_mm.workflow.project_files import ProjectFiles
from wsss_mm.workflow.project_plan import (
    COPIES,
    Network,
    Sizes,
    choose_chain,
    choose_network,
    choose_sizes,
    describe,
    find_risks,
    slow_without_gpu,
)

METHODS = ('cam', 'clip_es')


@dataclass(frozen=True, kw_only=True)
class Project:
    """What was made, and why it is as it is.

    Attributes:
        config: Of the CAM network: what `run_method` and ``wsss run`` take.
        segmenter: Config of the segmenter.
        files: All files that were written, copies of photographs left out.
        images: For each class, how many photographs show it.
        choices: What was chosen and why, a line each.
        warnings: What may go wrong with these photographs, a line each.
        without_line: Photographs that the tags do not name; they are not used.
        without_image: Lines of the tags that name no photograph.
        method: ``'cam'`` or ``'clip_es'``.
    """

    config: Path
    segmenter: Path
    files: tuple[Path, ...]
    images: dict[str, int]
    choices: tuple[str, ...]
    warnings: tuple[str, ...]
    without_line: tuple[str, ...]
    without_image: tuple[str, ...]
    method: str = 'cam'

    @property
    def left_out(self) -> Path:
        """File that lists both, written where there are any."""
        return self.config.with_name('left_out.txt')


def new_project(
    photos: str | Path,
    *,
    tags: str | Path | None = None,
    out: str | Path | None = None,
    method: str = 'cam',
    weights: str | Path | None = None,
    words: str | Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> Project:
    """Write the configs of a method and its segmenter for a folder of photographs.

    Args:
        photos: The folder; its sub-folders count.
        tags: Tags of any format that `read_tag_table` knows. None looks into the
            folder: for files of labelme or PASCAL VOC, or one folder a class.
        out: Folder of the files; ``<name of photos>_project`` if None.
        method: ``'cam'`` trains a network from the tags; ``'clip_es'`` finds what
            words describe by frozen CLIP, without training.
        weights: ImageNet weights of MMSegmentation's MobileNetV2 to start from; None
            takes what is installed, or else is fetched. For CLIP-ES what ``wsss
            convert`` made of CLIP's; ``data/weights/clip_vit_b16.pth`` if None.
        words: For CLIP-ES, a file of words of the classes, see `read_words`.
        overwrite: Whether to write over the files of an earlier project.
        workers: Processes that read photographs; one a CPU if None.

    Raises:
        InputError: If photographs, tags, weights or words cannot be used, or `out`
            holds files.

    Reference:
        Zhou et al., CVPR 2016: the plain CAM, which the project trains. Lin et al.,
        CVPR 2023: CLIP-ES.
    """
    check_method(method, words)
    photos = Path(photos)
    workers = (os.cpu_count() or 1) if workers is None else workers
    table = read_tag_table(photos if tags is None else tags)
    matched = match_photos(table, list_photos(photos))
    classes = table.ordered_classes()
    counts = {
        name: count
        for name in classes
        if (count := sum(name in own for own in matched.tags.values()))
    }
    if not counts:
        raise InputError(f'{tags or photos}: no photograph has a tag; add some')
    check_stems({name: name for name in matched.tags}, source=photos)
    long_sides = measure(photos, list(matched.tags), workers)
    clip = None
    if method == 'clip_es':
        clip = choose_clip(weights, words, tuple(counts))
    network, source = choose_network(None if clip else weights)
    on_gpu = torch.cuda.is_available()
    chain, why = choose_chain()
    files = plan_files(
        photos,
        None if out is None else Path(out),
        count=len(matched.tags),
        classes=(BACKGROUND, *counts),
        network=network,
        sizes=choose_sizes(long_sides, network, on_gpu=on_gpu),
        chain=chain,
        on_gpu=on_gpu,
        clip=clip,
    )
    write_files(files, photos, matched.tags, overwrite=overwrite, workers=workers)
    choices = (
        f'tags: {table.format}, {len(matched.tags)} photographs, {len(counts)} classes',
        f'{"segmenter" if clip else "network"}: {network.title}, {source}',
        *describe(files.sizes, long_sides, on_gpu=on_gpu, trained=clip is None),
        *(
            describe_clip(clip)
            if clip
            else [f'masks: refined by {chain}, {why} (--threshold auto)']
        ),
    )
    project = Project(
        config=files.config,
        segmenter=files.segmenter,
        files=(files.tags, *files.texts()),
        images=counts,
        choices=choices,
        warnings=(
            *(() if clip else find_risks(counts, matched)),
            *slow_without_gpu(network, on_gpu=on_gpu),
        ),
        without_line=matched.without_line,
        without_image=matched.without_image,
        method=method,
    )
    list_left_out(project)
    return project


def check_method(method: str, words: str | Path | None) -> None:
    """Refuse methods that there are not, and words for those that read none."""
    if method not in METHODS:
        raise InputError(f'method {method!r}: one of {", ".join(METHODS)}')
    if words is not None and method != 'clip_es':
        raise InputError(
            f'{words}: words are for clip_es; the network of {method} learns its '
            'classes from the tags'
        )


def plan_files(
    photos: Path,
    out: Path | None,
    *,
    count: int,
    classes: Sequence[str],
    network: Network,
    sizes: Sizes,
    chain: str,
    on_gpu: bool,
    clip: CLIPChoice | None,
) -> ProjectFiles:
    """Settle what the files of a project are called and where they lie."""
    name = re.sub(r'\W+', '_', photos.resolve().name).strip('_') or 'photos'
    folder = (Path(f'{name}_project') if out is None else out).resolve()
    return ProjectFiles(
        name=name,
        folder=folder,
        images=folder / COPIES if sizes.copies else photos.resolve(),
        count=count,
        classes=classes,
        network=network,
        sizes=sizes,
        chain=chain,
        workers=min(4, os.cpu_count() or 1) if on_gpu else 2,
        clip=clip,
    )


def write_files(
    files: ProjectFiles,
    photos: Path,
    tags: dict[str, tuple[str, ...]],
    *,
    overwrite: bool,
    workers: int,
) -> None:
    """Write configs, tags and, where photographs are large, their copies.

    Raises:
        InputError: If there are files of another project.
    """
    texts = files.texts()
    there = [path for path in (files.tags, *texts) if path.exists()]
    if there and not overwrite:
        raise InputError(
            f'{there[0]} is there already; choose another --out, or add --overwrite to '
            'write the files anew'
        )
    if files.sizes.copies:
        tags = copy_photos(photos, files.images, tags, files.sizes, workers)
    files.folder.mkdir(parents=True, exist_ok=True)
    write_tag_file(files.tags, tags)
    for path, text in texts.items():
        with atomic_write(path) as part:
            part.write_text(text, encoding='utf-8')


def list_left_out(project: Project) -> None:
    """List photographs without a line and lines without one, where there are any."""
    if not project.without_line and not project.without_image:
        project.left_out.unlink(missing_ok=True)
        return
    lines = [
        *('photographs without a line in the tags:', *project.without_line),
        *('lines of the tags without a photograph:', *project.without_image),
    ]
    with atomic_write(project.left_out) as part:
        part.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def measure(photos: Path, names: Sequence[str], workers: int) -> list[int]:
    """Read the longest side of every photograph from its header.

    Raises:
        InputError: If one is not an image.
    """
    return list(map_ordered(partial(long_side, photos), names, workers))


def long_side(photos: Path, name: str) -> int:
    """Read the longest side of a photograph, in pixels."""
    with open_image(
        photos / name,
        kind='image',
        missing='its name may have changed',
        remedy='remove it, or get it again',
    ) as image:
        return max(image.size)


def copy_photos(
    photos: Path,
    folder: Path,
    tags: dict[str, tuple[str, ...]],
    sizes: Sizes,
    workers: int,
) -> dict[str, tuple[str, ...]]:
    """Write copies of photographs that are no larger than networks look at.

    Returns:
        The tags under the names of the copies.
    """
    LOGGER.info('copying %d photographs to %s', len(tags), folder)
    copies = {name: f'{result_name(name)}.jpg' for name in tags}
    jobs = [(photos / name, folder / copy) for name, copy in copies.items()]
    for _ in map_ordered(partial(copy_photo, side=sizes.side), jobs, workers):
        pass
    return {copies[name]: own for name, own in tags.items()}


def copy_photo(job: tuple[Path, Path], *, side: int) -> None:
    """Write a copy of a photograph with a long side of at most `side` pixels."""
    source, target = job
    image = Image.fromarray(read_rgb(source))
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as part:
        image.save(part, format='JPEG', quality=95)
