"""Stages 3 and 4 around the refiners: which images, from which files, into which."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.io.score_file import save_scores
from wsss_mm.refinement import (
    Affinity,
    EdgeAffinity,
    LocalAffinity,
    Seed,
    SeedFiles,
    resolve_steps,
    seed_mask,
)
from wsss_mm.registry import DATASETS, MODELS, TASK_UTILS
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.parallel import Failure, attempt, prefetch
from wsss_mm.utils.precision import autocast_on
from wsss_mm.utils.progress import progress
from wsss_mm.workflow.folders import chain_name, mask_folder, score_folder
from wsss_mm.workflow.weights import load_weights

IGNORED = np.uint8(255)
# Images that a message lists.
SHOWN = 10
Job = tuple[str, Callable[[], Seed] | Failure]


def chain_steps(cfg: Config, chain: str) -> list[dict[str, Any]]:
    """List the refiners of a config's chain, the background's score first.

    Steps that the chain names are looked up now, so that what was changed in the
    config since it was read counts.

    Raises:
        InputError: If the config has no chain of this name, or not a step it names.
    """
    chains = cfg.get('refine') or {}
    if chain_name(chain) not in chains or cfg.get('background') is None:
        raise InputError(
            f'no refinement {chain!r} in the config; it has {sorted(chains)}. A chain '
            "is refine = dict(name=['step', ...]) with step = dict(type=...) in the "
            'config, and needs a background; see configs/_base_/refinement.py'
        )
    steps = resolve_steps(chains[chain_name(chain)], cfg)
    return [dict(step) for step in (*resolve_steps(['background'], cfg), *steps)]


def needs_affinity(cfg: Config, chain: str) -> bool:
    """Tell whether a chain of a config walks along a network's affinities."""
    refiners = [TASK_UTILS.get(step['type']) for step in chain_steps(cfg, chain)]
    return any(getattr(refiner, 'needs_affinity', False) for refiner in refiners)


def leaves_pixels_out(cfg: Config, chain: str) -> bool:
    """Say whether masks of a chain are 255 where it is not sure."""
    return any(
        getattr(TASK_UTILS.get(step['type']), 'leaves_pixels_out', False)
        for step in chain_steps(cfg, chain)
    )


class AffinityNetwork:
    """A trained affinity network that predicts one image after the other.

    Args:
        cfg: Its config, whose test pipeline loads the images.
        checkpoint: Its weights, or the folder it was trained into.
        amp: Whether it computes in mixed precision.
    """

    def __init__(self, cfg: Config, checkpoint: str, *, amp: bool = False) -> None:
        import_modules_from_strings(**cfg.custom_imports)
        init_default_scope(cfg.default_scope)
        cfg.model.backbone.init_cfg = None
        self.model = MODELS.build(cfg.model)
        load_weights(self.model, checkpoint)
        self.device, self.amp = get_device(), amp
        self.model.to(self.device).eval()
        self.pipeline = cfg.test_dataloader.dataset.pipeline

    def predict(
        self, dataset: ConfigDict, indices: list[int]
    ) -> Iterator[Affinity | Failure]:
        """Predict the affinities of some images of a dataset, in order.

        The next images are read in a thread while the network computes. That needs no
        start, unlike a process, and the decoder and the network both let it run.

        Args:
            dataset: Config of the dataset.
            indices: Which of its images.

        Yields:
            The affinity of an image, or what ended this image.
        """
        # No sampler: that would share the images out between processes once more.
        images = DATASETS.build(dict(dataset, pipeline=self.pipeline, indices=indices))
        jobs = [(images.get_data_info(i)['img_id'], i) for i in range(len(indices))]
        for name, batch in prefetch(lambda i: pseudo_collate([images[i]]), jobs):
            yield attempt(self.predict_batch, name, batch)

    @torch.no_grad()
    def predict_batch(self, batch: Any) -> Affinity:
        """Predict the affinity of a batch of one image."""
        with autocast_on(self.device, enabled=self.amp):
            (sample,) = self.model.test_step(batch)
        weights = sample.affinity.data
        if 'edge' not in sample:
            return LocalAffinity(weights, self.model.offsets, self.model.stride)
        return EdgeAffinity(
            weights, self.model.offsets, self.model.stride, edge=sample.edge.data[0]
        )


def seed_jobs(
    dataset: Any, indices: Iterable[int], out: Path
) -> Iterator[tuple[str, SeedFiles]]:
    """Name the files that the seed of each image is read from.

    Args:
        dataset: The image-label dataset.
        indices: Which of its images.
        out: Folder that holds the CAM files.
    """
    foreground = len(dataset.metainfo['classes']) - 1
    for index in indices:
        info = dataset.get_data_info(index)
        cam = out / CAM_FOLDER / f'{info["img_id"]}.npz'
        yield info['img_id'], SeedFiles(Path(info['img_path']), cam, foreground)


def with_affinity(
    jobs: Iterable[tuple[str, SeedFiles]], affinities: Iterable[Affinity | Failure]
) -> Iterator[Job]:
    """Give each seed the affinity of its image, or hand on what ended the image."""

    def load(files: SeedFiles, affinity: Affinity) -> Seed:
        return replace(files(), affinity=affinity)

    for (name, files), affinity in zip(jobs, affinities):
        if isinstance(affinity, Failure):
            yield name, affinity
        else:
            yield name, partial(load, files, affinity)


def confident_mask(seed: Seed, margin: float | None) -> np.ndarray:
    """Decide on a mask; pixels that two classes contest become 255.

    Args:
        seed: Refined scores.
        margin: How far the best score must be ahead of the second for its pixel to
            count; ``None`` keeps every pixel.

    Returns:
        Class indices, uint8, shape (H, W).
    """
    mask = seed_mask(seed)
    if margin is None or len(seed.scores) < 2:
        return mask
    second, best = np.partition(seed.scores, -2, axis=0)[-2:]
    return np.where(best - second < margin, IGNORED, mask)


def save_all(
    results: Iterable[tuple[str, Any]], save: Callable[[str, Any], None], *, total: int
) -> dict[str, Failure]:
    """Save the result of each image and collect what went wrong.

    Args:
        results: Name and result of each image, or its failure.
        save: Takes a name and a result.
        total: How many images there are.

    Returns:
        What ended each image that failed, in their order; see `raise_failures`.
    """
    failures: dict[str, Failure] = {}
    done = progress(total)
    for name, result in results:
        if isinstance(result, Failure):
            if result.traceback and not any(f.traceback for f in failures.values()):
                LOGGER.error('%s failed, the others go on: %s', name, result.traceback)
            failures[name] = result
        else:
            save(name, result)
        done()
    return failures


def raise_failures(failures: Mapping[str, Failure], *, total: int) -> None:
    """End a command whose images did not all succeed; return if all did.

    Args:
        failures: What ended each image that failed.
        total: How many images there are.

    Raises:
        InputError: If files of some images cannot be used. It lists the first.
        RuntimeError: If images failed by a fault of the program. It shows the first
            traceback and how many failed that way, and lists the other kind too.
    """
    faults = {name: one for name, one in failures.items() if one.traceback is not None}
    users = {name: one for name, one in failures.items() if one.traceback is None}
    listed = [f'{name}: {users[name]}' for name in sorted(users)[:SHOWN]]
    if len(users) > SHOWN:
        listed.append(f'... and {len(users) - SHOWN} more')
    message = '\n  '.join([f'{len(users)} of {total} images failed:', *listed])
    if faults:
        first = next(iter(faults))
        fault = (
            f'{len(faults)} of {total} images failed by a fault of the program. The '
            f'first, {first}:\n{faults[first].traceback}'
        )
        raise RuntimeError(f'{fault}\n{message}' if users else fault)
    if users:
        raise InputError(message)


def save_refined(
    name: str,
    seed: Seed,
    *,
    out: Path,
    chain: str,
    palette: list[list[int]],
    margin: float | None,
    keep_scores: bool,
) -> None:
    """Write the mask of an image and, if wanted, the scores of its classes."""
    output = OutputFolder(out)
    if keep_scores:
        scores = output.path_of(name, '.npz', folder=score_folder(chain))
        save_cam(scores, seed.classes, seed.scores[1:])
    path = output.path_of(name, '.png', folder=mask_folder(chain))
    save_mask(path, confident_mask(seed, margin), palette)


def save_seed_scores(name: str, scores: tuple[Any, ...], *, folder: Path) -> None:
    """Write what the affinity network learns from one image."""
    path = OutputFolder(folder.parent).path_of(name, '.npz', folder=folder.name)
    save_scores(path, *scores)


def training_scores(cfg: Config) -> Callable[..., Any]:
    """Build the config's `training_scores`.

    Raises:
        ValueError: If the config has none.
    """
    if cfg.get('training_scores') is None:
        raise InputError(
            'the config has no training_scores (low_alpha, high_alpha and CRF '
            'parameters); see configs/_base_/refinement.py'
        )
    scores: Callable[..., Any] = TASK_UTILS.build(cfg.training_scores)
    return scores
