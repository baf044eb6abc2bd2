"""A training step of WeCLIP against the same made as its published code makes it."""

import argparse
import copy
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from measuring import MIB, peak_bytes, summary

from wsss_mm.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SIDES = ('published', 'ours')


def add_weclip(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'weclip',
        help="WeCLIP's training step, against its published procedure",
        description="Time and peak memory of WeCLIP's training step from random "
        'weights on noise. The published procedure runs the last block once for each '
        'tag and differentiates all of it, takes image by image, and copies the 48 '
        'neighbours of every pixel for PAR. Each side of each round is a process of '
        'its own; its first step is not counted.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs/weclip/weclip_vitb16_voc.py'),
        help='of a WeCLIP, which starts from random weights',
    )
    parser.add_argument('--batch', type=int, default=4, help='B, images a step')
    parser.add_argument('--size', type=int, default=320, help='of a crop, in pixels')
    parser.add_argument('--tags', type=int, default=2, help='of every image')
    parser.add_argument('--steps', type=int, default=2, help='counted steps a round')
    parser.add_argument('--rounds', type=int, default=2, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='of weights and images')
    parser.set_defaults(run=run_weclip)


def build(args: argparse.Namespace) -> Any:
    """Build the network of the config with random weights."""
    import torch
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from wsss_mm.registry import DATASETS, MODELS
    from wsss_mm.workflow.launch import load_config

    cfg = load_config(args.config)
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(args.seed)
    cfg.model.backbone.init_cfg = None
    cfg.model.pseudo_masks.last_block.pop('init_cfg', None)
    cfg.model.pseudo_masks.text.update(checkpoint=None, cache_dir=None)
    network = MODELS.build(cfg.model).train()
    network.dataset_meta = DATASETS.get(cfg.dataset_type).METAINFO
    return network


def draw_batch(network: Any, args: argparse.Namespace) -> dict[str, list]:
    """Draw noise for images, and tags for each."""
    import torch
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(args.seed)
    count = network.decode_head.num_classes - 1
    samples = []
    for _ in range(args.batch):
        tags = torch.randperm(count, generator=generator)[: args.tags]
        samples.append(SegDataSample())
        samples[-1].image_labels = torch.zeros(count).index_fill(0, tags, 1)
    shape = (args.batch, 3, args.size, args.size)
    return dict(
        inputs=list(torch.randn(shape, generator=generator)), data_samples=samples
    )


def publish(network: Any) -> None:
    """Make a network's masks as the published code does."""
    import torch
    from torch import Tensor

    from wsss_mm.functional import grad_cam, par_weights, word_probabilities
    from wsss_mm.functional.pamr import neighbours
    from wsss_mm.models.backbones.clip_last_block import WordCAMs

    maker, block = network.pseudo_masks, network.pseudo_masks.last_block

    def word_cams(
        tokens: Tensor, words: Tensor, *, count: int, size: tuple[int, int]
    ) -> WordCAMs:
        maps = []
        for tag in range(count):
            with torch.enable_grad():
                normed = block.block.norm1(tokens[None]).detach().requires_grad_()
                attended, attention = block.attend(normed)
                feature = block.image_feature(block.feed(tokens + attended))[0]
                scores = word_probabilities(feature, words, scale=block.scale)
                (gradient,) = torch.autograd.grad(scores[tag], normed)
            weights = gradient[:, 1:].mean(dim=1)
            maps.append(grad_cam(normed[0, 1:].detach().T.unflatten(1, size), weights))
        return WordCAMs(
            maps=torch.cat(maps),
            probabilities=scores.detach(),
            attention=attention[0].detach().mean(dim=0),
            feature=feature.detach(),
        )

    def copied_par(image: Tensor, scores: Tensor, **given: Any) -> Tensor:
        weights = par_weights(image, dilations=given['dilations'])
        for _ in range(given['iterations']):
            copies = torch.stack(list(neighbours(scores, given['dilations'])), dim=2)
            scores = (copies * weights[:, None]).sum(dim=2)
        return scores

    def label(images: Tensor, classes: Any, maps: Any) -> Tensor:
        batched = type(maker).label
        return torch.cat(
            [
                batched(maker, images[i : i + 1], classes[i : i + 1], maps[i : i + 1])
                for i in range(len(images))
            ]
        )

    import wsss_mm.models.segmentors.clip_pseudo_masks as module

    module.par = copied_par
    block.word_cams = word_cams
    maker.label = label


def train(args: argparse.Namespace, side: str) -> dict[str, float]:
    """Train some steps in this process; give seconds a step, peak and first loss."""
    import torch

    from wsss_mm.utils.memory import keep_freed_memory

    keep_freed_memory()
    network = build(args)
    if side == 'published':
        publish(network)
    batch = draw_batch(network, args)
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=2e-3, weight_decay=0.01)
    walls, cpus, totals = [], [], []
    for _ in range(args.steps + 1):
        data = network.data_preprocessor(copy.deepcopy(batch), True)
        wall, cpu = time.perf_counter(), time.process_time()
        losses = network.loss(**data)
        optimizer.zero_grad()
        totals.append(sum(losses.values()))
        totals[-1].backward()
        optimizer.step()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        'wall': statistics.mean(walls[1:]),
        'cpu': statistics.mean(cpus[1:]),
        'peak_mib': peak_bytes() / MIB,
        # Later ones depend on how earlier steps were rounded.
        'first_loss': float(totals[0]),
        'trained_tensors': len(learning),
        'trained_numbers': sum(p.numel() for p in learning),
    }


def run_weclip(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides in turn, each in a fresh process."""
    for name in ('batch', 'size', 'tags', 'steps', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
                found[side].append(pool.submit(train, args, side).result())
    pairs = list(zip(*found.values()))
    names = ('config', 'batch', 'size', 'tags', 'steps', 'rounds')
    return {
        'setting': {name: getattr(args, name) for name in names},
        'a_step': {side: summary(rounds) for side, rounds in found.items()},
        'published_over_ours': {
            name: statistics.median(theirs[name] / own[name] for theirs, own in pairs)
            for name in ('wall', 'cpu', 'peak_mib')
        },
        'largest_difference_of_loss': max(
            abs(theirs['first_loss'] - own['first_loss']) for theirs, own in pairs
        ),
    }
