"""Start a project of your own: photographs and tags to configs for `wsss run`.

Tags: CSV (a column of labels, or one of 0 and 1 a class), JSON, COCO (also Roboflow's),
CVAT for images 1.1, PASCAL VOC XML or lists, labelme, or one folder a class.
"""

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from wsss_mm.apis.new import METHODS, Project, new_project

DESCRIPTION = 'start a project of your own'
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('photos', type=Path, help='folder of the photographs')
    parser.add_argument(
        '--tags',
        type=Path,
        help='file or folder of the tags (default: the folder of the photographs)',
    )
    parser.add_argument(
        '--out', type=Path, help='folder to write (default: PHOTOS_project)'
    )
    parser.add_argument(
        '--method',
        choices=METHODS,
        default='cam',
        help='cam: learn from the tags; clip_es: frozen CLIP, without training, where '
        'words describe the classes (default: cam)',
    )
    parser.add_argument(
        '--weights',
        type=Path,
        help="ImageNet weights of MMSegmentation's MobileNetV2; for clip_es what `wsss "
        "convert` made of CLIP's (default: data/weights/clip_vit_b16.pth)",
    )
    parser.add_argument(
        '--words',
        type=Path,
        help='for clip_es, words of classes, a line each: `shirt: t-shirt, blouse`; '
        'those of `background` are what else may be there (default: their names)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over an earlier project'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that read'
    )


def run(args: argparse.Namespace) -> None:
    """Write the project, and say what was found and chosen."""
    project = new_project(
        args.photos,
        tags=args.tags,
        out=args.out,
        method=args.method,
        weights=args.weights,
        words=args.words,
        overwrite=args.overwrite,
        workers=args.workers,
    )
    for name, count in project.images.items():
        print(f'  {name}: {count} photographs')
    show('photographs without a line in the tags, not used', project.without_line)
    show('lines of the tags without a photograph', project.without_image)
    if project.without_line or project.without_image:
        print(f'  all of them: {near(project.left_out)}')
    print('\n'.join(project.choices))
    for risk in project.warnings:
        print(f'warning: {risk}')
    print('wrote ' + ', '.join(str(near(path)) for path in project.files))
    print(f'now: {next_command(project)}')


def show(title: str, items: Sequence[str]) -> None:
    """List the first of some items under their number."""
    if not items:
        return
    print(f'{len(items)} {title}:')
    for item in items[:SHOWN]:
        print(f'  {item}')
    if len(items) > SHOWN:
        print(f'  and {len(items) - SHOWN} more')


def near(path: Path) -> Path:
    """Write a path as short as the current folder allows."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def next_command(project: Project) -> str:
    """Write the command that goes on."""
    command = f'wsss run {shlex.quote(str(near(project.config)))}'
    # CLIP-ES's background is that of its chain.
    return command if project.method == 'clip_es' else f'{command} --threshold auto'
