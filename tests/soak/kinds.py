"""The commands that the soak kills, and what is compared of their results."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsss_mm.checkpoints.checkpoint_file import checkpoints_in, read_checkpoint
from wsss_mm.io.atomic import UNFINISHED
from wsss_mm.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 6
STEPS = 8
TRAINED = re.compile(rb'Iter\(train\) \[ *(\d+)/')

CONFIG = """
_base_ = ['{base}']
model = dict(
    backbone=dict(stem_channels=4, base_channels=4, init_cfg=None),
    decode_head=dict({head}))
load_from = None
val_dataloader = val_evaluator = val_cfg = None
train_cfg = dict(max_iters={steps}, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{data}'))
test_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root='{data}'))
"""
WORKERS = 'train_dataloader.num_workers'


def write_inputs(root: Path) -> None:
    """Write images, tags and the configs of tiny networks."""
    # In a process of its own: it starts a pool, whose server a fork could not wait for.
    code = (
        'import sys; from wsss_mm.datasets.synth_voc import write_synth_voc; '
        f'write_synth_voc(sys.argv[1], train={IMAGES}, val=2, size=64)'
    )
    subprocess.run([sys.executable, '-c', code, str(root / 'data')], check=True)
    for name, head in (
        ('cam_r18_synth', 'in_channels=32'),
        ('cam_r18_synth_deeplabv2', 'in_channels=32'),
    ):
        text = CONFIG.format(
            base=ROOT / 'configs/cam' / f'{name}.py',
            data=root / 'data',
            head=head,
            steps=STEPS,
        )
        (root / f'{name.replace("cam_r18_synth", "tiny")}.py').write_text(text)


def digest(value: Any) -> str:
    """Sum up a file, or nested values of tensors, bit for bit."""
    import torch

    if isinstance(value, Path):
        return hashlib.sha256(value.read_bytes()).hexdigest()
    if isinstance(value, dict):
        return repr([(key, digest(part)) for key, part in value.items()])
    if isinstance(value, (list, tuple)):
        return repr([digest(part) for part in value])
    if isinstance(value, torch.Tensor):
        data = value.detach().contiguous().reshape(-1).view(torch.uint8)
        return f'{value.dtype}{hashlib.sha256(data.numpy()).hexdigest()}'
    return repr(value)


def trained(work: Path, prefix: str = '') -> dict[str, str]:
    """Sum up what a training leaves: weights, optimizer and random states."""
    found = {}
    for path in sorted(work.glob('*.pth')):
        content = read_checkpoint(path)
        for key in ('state_dict', 'optimizer', 'param_schedulers', 'random_states'):
            if key in content:
                found[f'{prefix}{path.name}:{key}'] = digest(content[key])
    return found


def files(folder: Path, *patterns: str) -> dict[str, str]:
    """Sum up files, byte for byte."""
    return {
        str(path.relative_to(folder)): digest(path)
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
    }


class Kind:
    """A command that is killed."""

    name = ''
    kills = 0
    variants = 1
    forked = True

    def arguments(self, folder: Path, variant: int) -> list[str]:
        """Give the arguments of `wsss`."""
        raise NotImplementedError

    def content(self, folder: Path) -> dict[str, str]:
        """Sum up the results."""
        raise NotImplementedError

    def unfinished(self, folder: Path) -> Iterator[Path]:
        """List the files that are half written."""
        for path in folder.glob('**/.*'):
            if UNFINISHED.fullmatch(path.name):
                yield path

    def progress(self, folder: Path) -> Any:
        """Note what is done."""
        return None

    def done_twice(self, folder: Path, log: Path, before: Any) -> str:
        """Say what was done again although it was done before."""
        return ''


def newest(work: Path) -> int:
    """Give the iteration of the newest whole checkpoint."""
    whole = [0]
    for path in checkpoints_in(work):
        try:
            whole.append(int(read_checkpoint(path)['meta']['iter']))
        except InputError:
            continue
    return max(whole)


class Train(Kind):
    """`wsss train`, with and without workers."""

    name = 'train'
    kills = 160
    variants = 3

    def arguments(self, folder: Path, variant: int) -> list[str]:
        """Train with no, two or two lasting workers."""
        workers = (0, 2, 2)[variant]
        return [
            'train',
            str(folder.parent / 'tiny.py'),
            *('--work-dir', str(folder), '--resume-or-start'),
            *('--cfg-options', f'{WORKERS}={workers}'),
            f'train_dataloader.persistent_workers={variant == 2}',
        ]

    def content(self, folder: Path) -> dict[str, str]:
        """Sum up the checkpoint and what was published of it."""
        return trained(folder)

    def progress(self, folder: Path) -> Any:
        """Note the newest checkpoint, and how long the log is."""
        log = folder.with_name(f'{folder.name}.log')
        return newest(folder), log.stat().st_size if log.is_file() else 0

    def done_twice(self, folder: Path, log: Path, before: Any) -> str:
        """Compare the iterations in the log with the checkpoint before."""
        step, size = before
        done = [int(found) for found in TRAINED.findall(log.read_bytes()[size:])]
        again = [one for one in done if one <= step]
        return f'{again} after iteration {step}' if again else ''


class Cams(Kind):
    """`wsss cams`."""

    name = 'cams'
    kills = 110

    def arguments(self, folder: Path, variant: int) -> list[str]:
        """Write CAMs and masks of the first training's network."""
        network = folder.parent / 'train_whole_0'
        config = str(folder.parent / 'tiny.py')
        options = ('--threshold', '0.4', '--work-dir', f'{folder}.work')
        return ['cams', config, str(network), '--out', str(folder), *options]

    def content(self, folder: Path) -> dict[str, str]:
        """Sum up CAMs, masks and the notes of their settings."""
        return files(folder, 'cams/*', 'masks/*', '*.json')

    def progress(self, folder: Path) -> Any:
        """Note which files are there, and since when."""
        return {
            path: path.stat().st_mtime_ns
            for pattern in ('cams/*.npz', 'masks/*.png')
            for path in folder.glob(pattern)
            if (folder / 'masks' / f'{path.stem}.png').is_file()
            and not path.name.startswith('.')
        }

    def done_twice(self, folder: Path, log: Path, before: Any) -> str:
        """Compare the files with those that were there before."""
        again = [
            path.name for path, at in before.items() if path.stat().st_mtime_ns != at
        ]
        return ', '.join(again)


class Run(Kind):
    """`wsss run`, whose stages are processes of their own."""

    name = 'run'
    kills = 30
    forked = False

    def arguments(self, folder: Path, variant: int) -> list[str]:
        """Run all stages without a refinement."""
        config = str(folder.parent / 'tiny.py')
        options = ('--refine', 'none', '--threshold', '0.4', '--workers', '1')
        return ['run', config, '--work-dir', str(folder), *options]

    def content(self, folder: Path) -> dict[str, str]:
        """Sum up the weights of both networks, all masks and figures."""
        return (
            trained(folder / 'cam', 'cam/')
            | trained(folder / 'segmenter', 'segmenter/')
            | files(folder, 'cams/*', 'masks/*', 'predictions/**/*.png')
            | files(folder, 'cam.json', 'pseudo_mask.json', 'segmentation.json')
        )

    def progress(self, folder: Path) -> Any:
        """Note the newest checkpoints, finished stages, and the logs' lengths."""
        logs = [folder / 'train_cam.log', folder / 'train_segmenter.log']
        sizes = [log.stat().st_size if log.is_file() else 0 for log in logs]
        steps = [newest(folder / 'cam'), newest(folder / 'segmenter')]
        return Cams().progress(folder), list(zip(logs, sizes, steps))

    def done_twice(self, folder: Path, log: Path, before: Any) -> str:
        """Compare iterations, CAMs and masks with those before."""
        kept, trainings = before
        found = [Cams().done_twice(folder, log, kept)]
        for path, size, step in trainings:
            if path.is_file():
                found.append(Train().done_twice(folder, path, (step, size)))
        return ', '.join(filter(None, found))


KINDS: tuple[Kind, ...] = (Train(), Cams(), Run())
