"""Dense CRF: shared and joint lattices against separate calls, a pool against one."""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wsss_mm.functional.dense_crf import (
    crf_parameters,
    dense_crf,
    dense_crf_joint,
    dense_crf_shared,
    soft_unary,
)
from wsss_mm.utils.errors import InputError

ALPHAS = (4.0, 24.0)


def add_dense_crf(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'dense_crf',
        help='one lattice for two alphas, and a pool of processes',
        description='Time of two dense CRFs of one image (alpha 4 and 24, parameters '
        'soft) in separate calls, on a shared lattice and filtered jointly, and the '
        'difference of the results; then images in processes against one process.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument('--height', type=int, default=281, help='of the image')
    parser.add_argument('--width', type=int, default=500, help='of the image')
    parser.add_argument('--labels', type=int, default=3, help='classes + background')
    parser.add_argument('--rounds', type=int, default=3, help='paired timing rounds')
    parser.add_argument('--workers', type=int, default=2, help='processes of the pool')
    parser.add_argument('--images', type=int, default=12, help='images for the pool')
    parser.add_argument('--seed', type=int, default=0, help='seed of the inputs')
    parser.set_defaults(run=run_dense_crf)


def run_dense_crf(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both comparisons."""
    for name in ('height', 'width', 'rounds', 'workers', 'images'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    if args.labels < 2:
        raise InputError(f'--labels must be at least 2, got {args.labels}')
    names = ('height', 'width', 'labels', 'rounds', 'workers', 'images')
    setting = {name: getattr(args, name) for name in names}
    image, scores = draw(args)
    return {
        'setting': {**setting, 'alphas': ALPHAS, 'parameters': 'soft'},
        'two_alphas': compare_lattices(image, scores, args.rounds),
        'pool': compare_pool(image, scores, args),
    }


def draw(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Draw a picture of blobs with noise, and CAMs that blur some of them."""
    rng = np.random.default_rng(args.seed)
    y, x = np.mgrid[: args.height, : args.width]
    centres = rng.random((args.labels + 5, 2)) * (args.height, args.width)
    distance = np.stack([np.hypot(y - v, x - u) for v, u in centres])
    colours = rng.integers(30, 226, (len(centres), 3))
    image = colours[distance.argmin(axis=0)] + rng.normal(0, 8, (*y.shape, 3))
    cams = np.exp(-distance[: args.labels - 1] / (0.3 * args.height))
    return np.clip(image, 0, 255).astype(np.uint8), cams.astype(np.float32)


def compare_lattices(
    image: np.ndarray, cams: np.ndarray, rounds: int
) -> dict[str, Any]:
    """Time the three ways in turn, in processor time of this process."""
    parameters = crf_parameters('soft')
    rest = 1 - cams.max(axis=0, keepdims=True)
    unaries = np.stack([soft_unary(np.concatenate([rest**a, cams])) for a in ALPHAS])
    sides: dict[str, Callable[[], np.ndarray]] = {
        'separate': lambda: np.stack(
            [dense_crf(image, u, parameters) for u in unaries]
        ),
        'shared': lambda: dense_crf_shared(image, unaries, parameters),
        'joint': lambda: dense_crf_joint(image, unaries, parameters),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results = {}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.process_time()
            results[name] = side()
            seconds[name].append(time.process_time() - start)
    return {
        'cpu_seconds': {name: statistics.median(s) for name, s in seconds.items()},
        'separate_over': {
            name: statistics.median(
                a / b for a, b in zip(seconds['separate'], seconds[name])
            )
            for name in ('shared', 'joint')
        },
        'same_bits': {
            name: bool((results[name] == results['separate']).all())
            for name in ('shared', 'joint')
        },
        'largest_difference': {
            name: float(np.abs(results[name] - results['separate']).max())
            for name in ('shared', 'joint')
        },
    }


def compare_pool(
    image: np.ndarray, cams: np.ndarray, args: argparse.Namespace
) -> dict[str, Any]:
    """Time the same images with one worker and with several."""
    from wsss_mm.refinement import (
        DenseCRFRefiner,
        PowerBackground,
        Seed,
        refine_all,
    )

    chain = (PowerBackground(alpha=4), DenseCRFRefiner(parameters='soft'))
    scores = np.concatenate([np.zeros_like(cams[:1]), cams])
    seed = Seed(image, np.arange(len(cams)), scores)

    def run(workers: int) -> float:
        # Between two moments of full work: the first images start the workers, and
        # as many again are still under way at the end.
        margin = 2 * workers
        jobs = [(str(i), seed) for i in range(args.images + 2 * margin)]
        stream = refine_all(jobs, chain, workers=workers)
        for _ in range(margin):
            next(stream)
        start = time.perf_counter()
        for _ in range(args.images):
            _, result = next(stream)
            if isinstance(result, Exception):
                raise result
        seconds = time.perf_counter() - start
        stream.close()
        return seconds

    one, many = run(1), run(args.workers)
    return {
        'seconds_one_process': one,
        'seconds_pool': many,
        'one_over_pool': one / many,
    }
