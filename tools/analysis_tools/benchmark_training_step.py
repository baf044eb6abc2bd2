"""A training step on a CPU with and without giving freed memory back."""

import argparse
import copy
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from measuring import MIB, peak_bytes, summary

from wsss_mm.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SIDES = ('given_back', 'kept')


def add_training_step(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'training_step',
        help='a step on a CPU with freed memory kept, against given back',
        description='Time and peak memory of training steps on a CPU when freed memory '
        'stays with the process, as the tools have it, and when it goes back to the '
        'system, as the C library has it. Each side of each round is a process of its '
        'own that trains a config on one batch of noise; the first two steps are not '
        'counted.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs/seam/seam_mbv2_voc_mini.py'),
        help='of a CAM network, which starts from random weights',
    )
    parser.add_argument('--batch', type=int, default=16, help='B, images a step')
    parser.add_argument('--size', type=int, default=224, help='of a crop, in pixels')
    parser.add_argument('--steps', type=int, default=8, help='counted steps a round')
    parser.add_argument('--rounds', type=int, default=3, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='of weights and images')
    parser.set_defaults(run=run_training_step)


def draw_batch(cfg: Any, args: argparse.Namespace) -> dict[str, list]:
    """Draw noise for images and two tags for each."""
    import torch
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(args.seed)
    inputs, samples = [], []
    for _ in range(args.batch):
        inputs.append(torch.rand(3, args.size, args.size, generator=generator) * 255)
        samples.append(SegDataSample())
        foreground = cfg.model.decode_head.num_classes - 1
        tags = torch.randperm(foreground, generator=generator)[:2]
        samples[-1].image_labels = torch.zeros(foreground).index_fill(0, tags, 1)
    return dict(inputs=inputs, data_samples=samples)


def train(args: argparse.Namespace, side: str) -> dict[str, float]:
    """Train some steps in this process; give seconds a step, peak and last loss."""
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from wsss_mm.registry import MODELS
    from wsss_mm.utils.memory import keep_freed_memory
    from wsss_mm.workflow.launch import load_config

    cfg = load_config(args.config)
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(args.seed)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()
    batch = draw_batch(cfg, args)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    if side == 'kept' and not keep_freed_memory():
        raise InputError('freed memory can be kept on Linux with glibc only')
    for step in range(-2, args.steps):
        if step == 0:
            wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        losses = model.train_step(copy.deepcopy(batch), optimizer)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        'wall': (time.perf_counter() - wall) / args.steps,
        'cpu': (system + after.ru_utime - before.ru_utime) / args.steps,
        'cpu_of_system': system / args.steps,
        'peak_mib': peak_bytes() / MIB,
        'loss': float(losses['loss']),
    }


def run_training_step(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides in turn, each in a fresh process."""
    for name in ('batch', 'size', 'steps', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
                found[side].append(pool.submit(train, args, side).result())
    pairs = list(zip(*found.values()))
    names = ('config', 'batch', 'size', 'steps', 'rounds')
    return {
        'setting': {name: getattr(args, name) for name in names},
        'a_step': {side: summary(rounds) for side, rounds in found.items()},
        'given_back_over_kept': {
            name: statistics.median(back[name] / kept[name] for back, kept in pairs)
            for name in ('wall', 'cpu', 'peak_mib')
        },
        'largest_difference_of_loss': max(
            abs(back['loss'] - kept['loss']) for back, kept in pairs
        ),
    }
