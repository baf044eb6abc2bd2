"""Pixel correlation in panels against the whole N x N matrix."""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from measuring import MIB, peak_bytes, reset_peak, summary
from torch import Tensor

from wsss_mm.functional import pixel_correlation
from wsss_mm.utils.errors import InputError

Side = Callable[[Tensor, Tensor], Tensor]


def add_pixel_correlation(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'pixel_correlation',
        help='panels of columns against the whole N x N matrix',
        description='Time, memory and error of pixel_correlation against the dense '
        'form. Memory is the peak resident set minus what was resident before, each '
        'side in a process of its own; times are medians over paired rounds.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument('--cells', type=int, default=11750, help='N, feature cells')
    parser.add_argument('--channels', type=int, default=21, help='K, CAM channels')
    parser.add_argument('--dim', type=int, default=192, help='D, embedding channels')
    parser.add_argument('--block', type=int, help='columns in a panel; unset: own rule')
    parser.add_argument('--rounds', type=int, default=3, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='seed of the inputs')
    parser.set_defaults(run=run_pixel_correlation)


def dense_pixel_correlation(cam: Tensor, embedding: Tensor) -> Tensor:
    """Refine a CAM through the whole matrix of affinities, as SEAM's code does."""
    pixels = embedding.flatten(2)
    unit = pixels / (pixels.norm(dim=1, keepdim=True) + 1e-5)
    affinity = torch.relu(unit.transpose(1, 2) @ unit)
    affinity = affinity / (affinity.sum(dim=1, keepdim=True) + 1e-5)
    return (cam.flatten(2) @ affinity).view_as(cam)


def sides_of(block: int | None) -> dict[str, Side]:
    """Name the two sides."""
    return {
        'dense': dense_pixel_correlation,
        'panels': lambda cam, emb: pixel_correlation(cam, emb, block=block),
    }


def draw_inputs(args: argparse.Namespace, cells: int) -> list[Tensor]:
    """Draw a CAM, an embedding and a gradient for the output."""
    generator = torch.Generator().manual_seed(args.seed)
    cam = torch.rand(1, args.channels, 1, cells, generator=generator)
    embedding = torch.randn(1, args.dim, 1, cells, generator=generator)
    gradient = torch.randn(1, args.channels, 1, cells, generator=generator)
    return [cam.requires_grad_(), embedding.requires_grad_(), gradient]


def run_pixel_correlation(args: argparse.Namespace) -> dict[str, Any]:
    """Measure memory in fresh processes, then time and error in this one."""
    for name in ('cells', 'channels', 'dim', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    matrix = 4 * args.cells**2
    memory = {side: measure_memory(side, args) for side in sides_of(None)}
    seconds, error = measure_time(args)
    ratio = {
        phase: statistics.median(
            d[phase] / p[phase] for d, p in zip(seconds['dense'], seconds['panels'])
        )
        for phase in seconds['dense'][0]
    }
    return {
        'setting': {
            'cells': args.cells,
            'channels': args.channels,
            'dim': args.dim,
            'block': args.block,
            'rounds': args.rounds,
            'dtype': 'float32',
            'device': 'cpu',
        },
        'matrix_mib': matrix / MIB,
        'peak_mib': memory,
        'peak_part_of_matrix': {
            phase: value * MIB / matrix for phase, value in memory['panels'].items()
        },
        'seconds': {side: summary(rounds) for side, rounds in seconds.items()},
        'dense_over_panels': ratio,
        'relative_error': error,
    }


def measure_memory(side: str, args: argparse.Namespace) -> dict[str, float]:
    """Run one side in a fresh process and return its peaks in MiB."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(peaks_of_side, side, args).result()


def peaks_of_side(side: str, args: argparse.Namespace) -> dict[str, float]:
    """Measure the peak of the forward pass alone, then with backward."""
    function = sides_of(args.block)[side]
    small = draw_inputs(args, 64)  # loads the libraries' code beforehand
    torch.autograd.grad(function(*small[:2]), small[:2], small[2])
    cam, embedding, gradient = draw_inputs(args, args.cells)
    peaks = {}
    before = reset_peak()
    with torch.no_grad():
        function(cam, embedding)
    peaks['forward'] = (peak_bytes() - before) / MIB
    before = reset_peak()
    torch.autograd.grad(function(cam, embedding), (cam, embedding), gradient)
    peaks['forward_backward'] = (peak_bytes() - before) / MIB
    return peaks


def measure_time(
    args: argparse.Namespace,
) -> tuple[dict[str, list[dict[str, float]]], dict[str, float]]:
    """Time both sides in turn; compare their results in the last round."""
    inputs = draw_inputs(args, args.cells)
    sides = sides_of(args.block)
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    results: dict[str, list[Tensor]] = {}
    for index in range(args.rounds):
        # Alternate who begins, so that neither gains from its place.
        for name in sorted(sides, reverse=bool(index % 2)):
            timing, results[name] = time_once(sides[name], inputs)
            seconds[name].append(timing)
    error = {
        what: float((mine - plain).abs().max() / plain.abs().max())
        for what, mine, plain in zip(
            ('output', 'cam_gradient', 'embedding_gradient'),
            results['panels'],
            results['dense'],
        )
    }
    return seconds, error


def time_once(
    function: Side, inputs: list[Tensor]
) -> tuple[dict[str, float], list[Tensor]]:
    """Time one forward and backward pass; CPU time ignores what others run."""
    cam, embedding, gradient = inputs
    wall, cpu = time.perf_counter(), time.process_time()
    out = function(cam, embedding)
    wall_forward, cpu_forward = time.perf_counter() - wall, time.process_time() - cpu
    grads = torch.autograd.grad(out, (cam, embedding), gradient)
    timing = {
        'forward': wall_forward,
        'forward_backward': time.perf_counter() - wall,
        'forward_cpu': cpu_forward,
        'forward_backward_cpu': time.process_time() - cpu,
    }
    return timing, [out.detach(), *grads]
