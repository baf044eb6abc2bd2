"""CLIP-ES for a project of somebody's photographs: weights, words, and its config."""

import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.weights import weights_in
from wsss_mm.datasets.image_label_dataset import BACKGROUND
from wsss_mm.models.text.class_words import words_of_classes
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import shipped
from wsss_mm.workflow.fixes import where_weights_are_from

CONFIG = 'clip_es/clip_es_vitb16_folder.py'
WEIGHTS = 'data/weights/clip_vit_b16.pth'
PARTS = ('backbone.', 'last_block.', 'text_encoder.')


@dataclass(frozen=True)
class CLIPChoice:
    """What CLIP-ES needs to know.

    Attributes:
        weights: Absolute path of CLIP's converted weights.
        words: For some classes their words; the others go by their names.
        background: Words of what else may be in the photographs.
        chain: Refiner of its masks.
    """

    weights: str
    words: Mapping[str, tuple[str, ...]]
    background: tuple[str, ...]
    chain: str


def choose_clip(
    weights: str | Path | None, words: str | Path | None, classes: Sequence[str]
) -> CLIPChoice:
    """Check weights and words, and choose what is not given.

    Args:
        weights: File that ``wsss convert`` wrote; ``data/weights/clip_vit_b16.pth`` if
            None.
        words: See `read_words`; None lets every class go by its name.
        classes: Names of the classes, without the background.

    Raises:
        InputError: If the weights are missing or not CLIP's, or the words do not fit.
    """
    path = Path(WEIGHTS if weights is None else weights)
    if not path.is_file():
        # The command is that of the usual name, whatever name was given.
        raise InputError(
            f'{path}: no such file, but CLIP-ES needs the weights of CLIP; '
            f'{where_weights_are_from(WEIGHTS)}'
        )
    given = weights_in(read_checkpoint(path, lazily=True), path)
    lacking = [p for p in PARTS if not any(name.startswith(p) for name in given)]
    if lacking:
        raise InputError(
            f'{path}: not the weights of CLIP that wsss convert writes (nothing in it '
            f'is called {lacking[0]}*); {where_weights_are_from(WEIGHTS)}'
        )
    own = {} if words is None else read_words(words)
    background = own.pop(BACKGROUND, None)
    try:
        words_of_classes(classes, own)
    except InputError as error:
        raise InputError(f'{words}: {error}') from error
    if background is None:
        background = usual_background(classes, own)
    dense = find_spec('pydensecrf') is not None
    return CLIPChoice(
        str(path.resolve()), own, background, 'clip_es_crf' if dense else 'par'
    )


def read_words(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read the words of classes, a line each: ``shirt: t-shirt, blouse``.

    Words of ``background`` are of what else may be in the images. Empty lines and those
    that begin with ``#`` say nothing.

    Raises:
        InputError: If the file cannot be read, or a line is not of that form.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as UTF-8 text: {error}') from error
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        name, colon, rest = line.partition(':')
        name = name.strip()
        several = tuple(word.strip() for word in rest.split(',') if word.strip())
        if not colon or not name or not several:
            raise InputError(
                f'{path}:{number}: {line.strip()!r}; write a class, a colon, and words '
                'between commas: shirt: t-shirt, blouse'
            )
        if name in found:
            raise InputError(f'{path}:{number}: {name!r} has words already')
        found[name] = several
    return found


def usual_background(
    classes: Sequence[str], words: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """List our config's background words, without those that are of a class."""
    shown = Config.fromfile(shipped('configs') / CONFIG).background_words
    taken = {word.lower() for several in words.values() for word in several}
    taken |= {name.lower().replace('_', ' ') for name in classes}
    return tuple(word for word in shown if word.lower() not in taken)


def describe_clip(clip: CLIPChoice) -> list[str]:
    """Say which words CLIP-ES looks for, and how its masks are made."""
    given = ', '.join(f'{name} ({", ".join(w)})' for name, w in clip.words.items())
    return [
        f'words: {given or "the names of the classes"}; background: '
        f'{", ".join(clip.background) or "none"}',
        f'masks: CLIP-ES from {clip.weights}, refined by {clip.chain}',
    ]


def clip_text(
    clip: CLIPChoice,
    *,
    bases: Sequence[str],
    note: str,
    num_classes: int,
    side: int,
    workers: int,
) -> str:
    """Write the config of CLIP-ES.

    Args:
        clip: Weights and words.
        bases: Configs that it inherits from: ours, and that of the photographs.
        note: Who wrote it.
        num_classes: Background included.
        side: Long side at which photographs are looked at, in pixels.
        workers: Processes that load images.
    """
    words = {name: list(several) for name, several in clip.words.items()}
    return f"""\
# CLIP-ES: CAMs of frozen CLIP, without training.
# {note}
_base_ = {list(bases)!r}
clip_weights = {clip.weights!r}
# Words of classes; the others go by their names.
class_words = {pprint.pformat(words, width=80)}
# What else may be in the photographs.
background_words = {pprint.pformat(list(clip.background), width=70, compact=True)}
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=clip_weights)),
    decode_head=dict(
        num_classes={num_classes},
        words=dict(_delete_=True, **class_words),
        background_words=background_words,
        text=dict(checkpoint=clip_weights),
        init_cfg=dict(checkpoint=clip_weights),
    ),
)
# Which chain of `refine` makes the masks that the segmenter learns from.
default_refine = {clip.chain!r}
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    # Attention of large photographs takes a lot of memory.
    dict(type='Resize', scale=({side}, {side}), keep_ratio=True),
    _base_.patches,
    _base_.clip_normalize,
    dict(type='LoadEvaluationMask'),
    dict(type='PackWSSSInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=({side}, {side}), keep_ratio=True)],
            [_base_.patches],
            [_base_.clip_normalize],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
train_dataloader = dict(dataset=dict(**_base_.photos, pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers={workers},
    dataset=dict(**_base_.photos, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
"""
