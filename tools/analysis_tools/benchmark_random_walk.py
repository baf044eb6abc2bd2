"""The random walk by Chebyshev sums against squaring the transition matrix."""

import argparse
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from measuring import MIB, peak_bytes, reset_peak, summary
from torch import Tensor

from wsss_mm.functional import (
    complete_pairs,
    pair_offsets,
    random_walk,
    transition_matrix,
)
from wsss_mm.utils.errors import InputError

RADIUS = 5


def add_random_walk(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'random_walk',
        help='products with a sparse matrix against squaring the dense one',
        description='Time, memory and error of random_walk against forming the dense '
        'transition matrix and squaring it log2(steps) times, as the released codes '
        'do. Both take the same float32 affinities of a disc of radius 5. Memory is '
        'the peak resident set minus what was resident before, the walk in a process '
        'of its own. At 94 x 125 cells the dense side takes minutes a round.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument('--height', type=int, default=47, help='of the map, in cells')
    parser.add_argument('--width', type=int, default=63, help='of the map, in cells')
    parser.add_argument('--channels', type=int, default=21, help='K, score channels')
    parser.add_argument('--beta', type=float, default=8, help='affinity exponent')
    parser.add_argument('--steps', type=int, default=256, help='t, a power of two')
    parser.add_argument('--rounds', type=int, default=3, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='seed of the inputs')
    parser.set_defaults(run=run_random_walk)


def draw_inputs(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Draw scores, and affinities that are high but for some borders."""
    generator = torch.Generator().manual_seed(args.seed)
    size = (args.height, args.width)
    exists = complete_pairs(*size, RADIUS)
    affinity = 1 - 0.5 * torch.rand(exists.shape, generator=generator) ** 2
    scores = torch.rand(args.channels, *size, generator=generator)
    return scores, affinity * exists


def walk(scores: Tensor, affinity: Tensor, args: argparse.Namespace) -> Tensor:
    """Run the package's side."""
    return random_walk(
        scores, affinity, pair_offsets(RADIUS), beta=args.beta, steps=args.steps
    )


def square(scores: Tensor, affinity: Tensor, args: argparse.Namespace) -> Tensor:
    """Form the matrix, square it, and multiply, as the released codes do."""
    matrix = transition_matrix(affinity, pair_offsets(RADIUS), beta=args.beta)
    for _ in range(int(math.log2(args.steps))):
        matrix = matrix @ matrix
    return (scores.flatten(1) @ matrix).view_as(scores)


def peak_of_walk(args: argparse.Namespace) -> float:
    """Measure the walk's peak above its inputs, in MiB."""
    small = argparse.Namespace(**{**vars(args), 'height': 12, 'width': 12})
    walk(*draw_inputs(small), args)  # loads the libraries' code beforehand
    inputs = draw_inputs(args)
    before = reset_peak()
    walk(*inputs, args)
    return (peak_bytes() - before) / MIB


def run_random_walk(args: argparse.Namespace) -> dict[str, Any]:
    """Measure memory in a fresh process, then time and error in this one."""
    for name in ('height', 'width', 'channels', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    if args.steps < 1 or args.steps & (args.steps - 1):
        raise InputError(f'--steps must be a power of two, got {args.steps}')
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        peak = pool.submit(peak_of_walk, args).result()
    inputs = draw_inputs(args)
    seconds: dict[str, list[dict[str, float]]] = {'walk': [], 'squaring': []}
    results = {}
    for _ in range(args.rounds):
        for name, side in (('walk', walk), ('squaring', square)):
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = side(*inputs, args)
            seconds[name].append(
                {
                    'wall': time.perf_counter() - wall,
                    'cpu': time.process_time() - cpu,
                }
            )
    matrix = 4 * (args.height * args.width) ** 2 / MIB
    difference = (results['walk'] - results['squaring']).abs().max()
    pairs = list(zip(seconds['squaring'], seconds['walk']))
    names = ('height', 'width', 'channels', 'beta', 'steps', 'rounds')
    return {
        'setting': {name: getattr(args, name) for name in names},
        'cells': args.height * args.width,
        'matrix_mib': matrix,
        'walk_peak_mib': peak,
        'walk_peak_part_of_matrix': peak / matrix,
        'seconds': {side: summary(rounds) for side, rounds in seconds.items()},
        'squaring_over_walk': {
            clock: statistics.median(
                dense[clock] / ours[clock] for dense, ours in pairs
            )
            for clock in ('wall', 'cpu')
        },
        'relative_error': float(difference / results['squaring'].abs().max()),
    }
