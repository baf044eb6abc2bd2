"""From CAM files to refined pseudo masks, and to the scores of an affinity network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier

from wsss_mm.apis.dataset import (
    build_dataset,
    for_pseudo_labels,
    names_of,
)
from wsss_mm.apis.generate import WAIT_SECONDS, GeneratedCAMs
from wsss_mm.apis.refine import (
    AffinityNetwork,
    chain_steps,
    needs_affinity,
    raise_failures,
    save_all,
    save_refined,
    save_seed_scores,
    seed_jobs,
    training_scores,
    with_affinity,
)
from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER
from wsss_mm.refinement import build_chain, refine_all, run_pool
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.parallel import Failure
from wsss_mm.workflow.folders import SEED_FOLDER, mask_folder, score_folder
from wsss_mm.workflow.kept_files import note_settings, settings_of
from wsss_mm.workflow.launch import load_config, prepare_launcher, register_components
from wsss_mm.workflow.nested_datasets import rows_in_list
from wsss_mm.workflow.processes import share_of_remaining, workers_here
from wsss_mm.workflow.weights import fingerprint


@dataclass(frozen=True)
class WrittenFiles:
    """What a verb wrote for each image of a dataset.

    Attributes:
        folder: Folder of the files, one for each image.
        images: How many images there are, those of an earlier run included.
        failures: For each image that failed, what is wrong with its files, or the
            traceback of a fault of the program.
    """

    folder: Path
    images: int
    failures: Mapping[str, Failure]


def refine_masks(
    config: str | Path,
    out: str | Path,
    *,
    chain: str,
    affinity: Sequence[str | Path] | None = None,
    split: str | Path | None = None,
    keep_scores: bool = False,
    ignore_margin: float | None = None,
    overwrite: bool = False,
    amp: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    workers: int = 0,
) -> WrittenFiles:
    """Refine the CAM files that `generate_cams` wrote into pseudo masks.

    ``<out>/masks_<chain>/<id>.png`` holds the palette mask (H, W) of an image.

    Args:
        config: Config of the CAM network, whose ``refine`` has the chains.
        out: Folder that holds ``cams``.
        chain: Name of the chain of refiners: ``crf``, ``rw``, ``rw_crf``, ``pamr``, or
            one of yours.
        affinity: Config and checkpoint of the affinity network, for a chain that walks.
        split: List file of images; the training data's list if None.
        keep_scores: Whether to write the refined scores too, to ``cams_<chain>``.
        ignore_margin: Pixels whose best class leads by less are marked 255.
        overwrite: Whether to redo images that are done.
        amp: Whether the affinity network computes in mixed precision.
        options: Config values to override, by dotted key.
        launcher: ``'none'``, or that of MMEngine which started this process.
        workers: Processes of this machine that refine, 0 for none.

    Returns:
        The folder of the masks and the images that failed.

    Raises:
        InputError: If there is no such chain, a walk has no affinity network, or the
            folder holds masks of other settings.

    Reference:
        The chains' sources are those of their steps; see configs/_base_/refinement.py.
    """
    cfg, dataset = open_dataset(config, split, options, launcher)
    out, workers = Path(out), workers_here(workers, launcher)
    walks = check_walk(cfg, chain, affinity)
    folder = out / mask_folder(chain)
    settings = dict(
        cams=settings_of(out / CAM_FOLDER),
        chain=chain_steps(cfg, chain),
        affinity=fingerprint(affinity[1]) if walks and affinity else None,
        margin=ignore_margin,
    )
    if amp and walks:
        settings['amp'] = True
    note_settings(folder, settings, overwrite=overwrite)
    wanted = [(folder, '.png')]
    if keep_scores:
        wanted.append((out / score_folder(chain), '.npz'))
    todo = share_of_remaining(names_of(dataset), *wanted, overwrite=overwrite)
    jobs: Any = seed_jobs(dataset, todo, out)
    if walks and affinity:
        network = AffinityNetwork(
            load_config(str(affinity[0])), str(affinity[1]), amp=amp
        )
        data = cfg.test_dataloader.dataset
        affinities = network.predict(data, rows_in_list(data, todo))
        jobs = with_affinity(jobs, affinities)
    refiners = build_chain({chain: chain_steps(cfg, chain)}, chain)
    save = partial(
        save_refined,
        out=out,
        chain=chain,
        palette=dataset.metainfo['palette'],
        margin=ignore_margin,
        keep_scores=keep_scores,
    )
    results = refine_all(jobs, refiners, workers=workers)
    failures = save_all(results, save, total=len(todo))
    LOGGER.info('wrote %s', folder)
    return WrittenFiles(folder, len(dataset), failures)


def write_seed_scores(
    config: str | Path,
    out: str | Path,
    *,
    split: str | Path | None = None,
    overwrite: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    workers: int = 0,
) -> WrittenFiles:
    """Write what an affinity network learns from, out of the CAM files.

    Args:
        config: Config of the CAM network, whose ``training_scores`` says how.
        out: Folder that holds ``cams`` and receives ``seed_scores``.
        split: List file of images; the training data's list if None.
        overwrite: Whether to redo images that are done.
        options: Config values to override, by dotted key.
        launcher: ``'none'``, or that of MMEngine which started this process.
        workers: Processes of this machine, 0 for none.

    Returns:
        The folder of the scores and the images that failed.

    Raises:
        InputError: If the config has no ``training_scores``, or the folder holds scores
            of other settings.

    Reference:
        Ahn and Kwak, AffinityNet, CVPR 2018, section 3.2; IRN, CVPR 2019.
    """
    cfg, dataset = open_dataset(config, split, options, launcher)
    make, out = training_scores(cfg), Path(out)
    folder = out / SEED_FOLDER
    settings = dict(
        cams=settings_of(out / CAM_FOLDER), training_scores=cfg.training_scores
    )
    note_settings(folder, settings, overwrite=overwrite)
    todo = share_of_remaining(names_of(dataset), (folder, '.npz'), overwrite=overwrite)
    jobs = seed_jobs(dataset, todo, out)
    results = run_pool(jobs, make, workers=workers_here(workers, launcher))
    save = partial(save_seed_scores, folder=folder)
    failures = save_all(results, save, total=len(todo))
    LOGGER.info('wrote %s', folder)
    return WrittenFiles(folder, len(dataset), failures)


def open_dataset(
    config: str | Path,
    split: str | Path | None,
    options: Mapping[str, Any] | None,
    launcher: str,
) -> tuple[Config, Any]:
    """Read a CAM network's config and build the dataset of its pseudo labels."""
    cfg = load_config(str(config), options)
    prepare_launcher(cfg, launcher, wait_seconds=WAIT_SECONDS)
    cfg = for_pseudo_labels(cfg, split=split)
    return cfg, build_dataset(cfg)


def check_walk(cfg: Config, chain: str, affinity: Sequence[str | Path] | None) -> bool:
    """Say whether a chain walks along affinities; refuse one without a network."""
    walks = needs_affinity(cfg, chain)
    if walks and affinity is None:
        raise InputError(
            f'the chain {chain} walks along affinities: add --affinity CONFIG '
            'CHECKPOINT, the affinity network that `wsss train` made'
        )
    return walks


def check_refinement(
    config: str | Path,
    out: str | Path | None,
    *,
    chain: str,
    affinity: Sequence[str | Path] | None,
    seed_scores: bool,
    options: Mapping[str, Any] | None,
) -> Path:
    """Refuse a refinement that cannot run, before anything is computed.

    Args:
        config: Config of the CAM network.
        out: Folder of the results; the config's work folder if None.
        chain: Name of the chain, ``none`` for none.
        affinity: Config and checkpoint of the affinity network.
        seed_scores: Whether seed scores are wanted.
        options: Config values to override.

    Returns:
        The folder of the results.

    Raises:
        InputError: If there is no such chain, a walk has no affinity network, or the
            config does not say how to make seed scores.
    """
    cfg = load_config(str(config), options)
    register_components(cfg)
    if chain != 'none':
        check_walk(cfg, chain, affinity)
    if seed_scores:
        training_scores(cfg)
    return Path(out or cfg.work_dir)


def report_failures(written: Sequence[WrittenFiles | GeneratedCAMs]) -> None:
    """End a command some of whose images failed; return if all succeeded.

    Raises:
        InputError: If files of some images cannot be used.
        RuntimeError: If images failed by a fault of the program.
    """
    barrier()  # launchers end all processes when one ends with an error
    # What comes after a failure fails as well: the first is said.
    failures: dict[str, Failure] = {}
    for part in written:
        failures = {**part.failures, **failures}
    raise_failures(failures, total=written[0].images if written else 0)
