"""Run all the stages of a method: tags, CAMs, refined masks, a segmenter, figures."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wsss_mm.apis.generate import check_cam_network, needs_training
from wsss_mm.apis.refine import leaves_pixels_out, needs_affinity
from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.io.atomic import atomic_write, naming
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.precision import check_half_training
from wsss_mm.workflow.folders import SEED_FOLDER, chain_name, mask_folder
from wsss_mm.workflow.launch import has_masks, load_config, register_components
from wsss_mm.workflow.lock import locked
from wsss_mm.workflow.logged import logged_figure
from wsss_mm.workflow.method import (
    affinity_config,
    cams_stage,
    default_chain,
    evaluation_stage,
    in_half,
    refine_stage,
    seed_scores_stage,
    segmenter_config,
    segmenter_test_stage,
    train_stage,
)
from wsss_mm.workflow.nested_datasets import only_dataset, plain_datasets
from wsss_mm.workflow.resume import check_start_weights
from wsss_mm.workflow.run_facts import facts_of_run
from wsss_mm.workflow.run_report import write_run_report
from wsss_mm.workflow.stage import Stage, run_stages

SEED_SCORES_KEY = 'train_dataloader.dataset.data_prefix.seed_scores_path'
NO_SEGMENTER = 'none'
MASKS_KEY = 'train_dataloader.dataset.data_prefix.seg_map_path'


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run of a method, and where.

    Attributes:
        config: Config of the CAM network.
        cfg: The same, read, with its options.
        folder: Work folder, which receives everything.
        chains: Names of the chains of refiners; the first makes the segmenter's masks.
        threshold: Background threshold of the CAMs' masks, or ``'auto'``.
        options: Config values of the CAM network to override.
        workers: Processes that refine and read.
    """

    config: str
    cfg: Config
    folder: Path
    chains: tuple[str, ...]
    threshold: float | str
    options: Mapping[str, Any]
    workers: int

    @property
    def chain(self) -> str:
        """Name of the chain that makes the segmenter's masks."""
        return self.chains[0]

    @property
    def class_file(self) -> Path:
        """File of the class names, background first."""
        return self.folder / 'classes.txt'

    @property
    def network(self) -> Path | None:
        """Folder of the CAM network; None if it needs no training."""
        return self.folder / 'cam' if needs_training(self.cfg) else None

    @property
    def truth(self) -> tuple[Path, Path] | None:
        """True masks of the evaluation split and its list, if there are any."""
        if not has_masks(self.cfg, 'val'):
            return None
        data = only_dataset(
            self.cfg.val_dataloader.dataset,
            where='val_dataloader.dataset',
            remedy='masks are scored on one',
        )
        folder = (data.get('data_prefix') or {}).get('seg_map_path')
        if folder is None:
            return None
        root = Path(data.get('data_root') or '')
        return root / folder, root / data.ann_file


def run_method(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    segmenter: str | None = None,
    chain: str | Sequence[str] | None = None,
    threshold: float | str | None = None,
    options: Mapping[str, Any] | None = None,
    affinity_options: Mapping[str, Any] | None = None,
    segmenter_options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    gpus: int = 1,
    amp: bool = False,
) -> dict[str, Any]:
    """Run a method from image tags to a segmenter and its figures.

    Stages that are done under the same settings are skipped, one that was cut off is
    resumed. Where no true masks are configured nothing is evaluated.

    Args:
        config: Config of the method's CAM network: a path, or a name of those we ship.
        work_dir: Folder of everything; ``work_dirs/<config>`` if None.
        segmenter: The NAME of ``<config>_NAME.py``; the first DeepLab if None;
            ``'none'`` ends with the pseudo masks.
        chain: Chain of the config that makes the segmenter's masks, or several, to be
            compared: the segmenter learns from the first. If None the config's
            ``default_refine``, or else ``rw_crf`` where ``<config>_affinity.py``
            exists and ``none`` where not.
        threshold: Background threshold of the pseudo masks, in [0, 1), or ``'auto'``;
            the config's if None.
        options: Config values to override for the CAM network, by dotted key.
        affinity_options: The same for the affinity network.
        segmenter_options: The same for the segmenter.
        workers: Processes that refine; one a CPU if None.
        gpus: Of this machine; a config's batch size is that of each.
        amp: Whether every network trains and predicts in mixed precision.

    Returns:
        ``seconds`` of each stage and ``stages``: the figures of ``cam``,
        ``pseudo_mask``, each chain and ``segmentation``, in percent; ``tag_mAP`` of the
        CAM network and what the run ``used``.

    Raises:
        InputError: If a stage fails, or the folder holds results of other settings.

    Reference:
        The stages of SEAM's and AffinityNet's papers; each config names its source.
    """
    if gpus < 1:
        raise InputError(f'gpus must be at least 1, not {gpus}')
    if amp:
        check_half_training()
    cfg = load_config(str(config), options, work_dir=work_dir)
    register_components(cfg)
    check_cam_network(cfg, config)
    if not needs_training(cfg):
        check_start_weights(cfg, what='network')
    fixed = cfg.model.test_cfg.background_threshold
    plan = Plan(
        config=str(config),
        cfg=cfg,
        folder=Path(cfg.work_dir),
        chains=chains_of(chain or default_chain(config, cfg)),
        threshold=fixed if threshold is None else threshold,
        options=options or {},
        workers=(os.cpu_count() or 1) if workers is None else workers,
    )
    stages = cam_stages(plan)
    stages += refinement_stages(plan, plan.chain, affinity_options or {})
    if segmenter != NO_SEGMENTER:
        stages += segmenter_stages(plan, segmenter, segmenter_options or {})
    for other in plan.chains[1:]:
        # Behind the segmenter, which does not wait for a chain that comes later.
        more = refinement_stages(plan, other, affinity_options or {})
        known = {stage.name for stage in stages}
        stages += [stage for stage in more if stage.name not in known]
    if amp:
        stages = [in_half(stage) for stage in stages]
    with naming(plan.folder), locked(plan.folder):
        write_class_names(plan)
        seconds = run_stages(stages, plan.folder, gpus=gpus)
        results = write_results(plan, seconds, gpus=gpus)
    if segmenter != NO_SEGMENTER:
        config = str(segmenter_config(plan.config, segmenter))
        command = ['wsss', 'predict', config, str(plan.folder / 'segmenter')]
        LOGGER.info('masks of new images: %s IMAGES', shlex.join(command))
    return results


def chains_of(chain: str | Sequence[str]) -> tuple[str, ...]:
    """Write the names of one chain or several as folders do, each once."""
    given = [chain] if isinstance(chain, str) else chain
    return tuple(dict.fromkeys(chain_name(one) for one in given))


def write_class_names(plan: Plan) -> None:
    """Write the class names that evaluations use, one a line."""
    data = plain_datasets(plan.cfg.test_dataloader.dataset)[0]
    options = dict(data, pipeline=[], lazy_init=True)
    names = DATASETS.build(options).metainfo['classes']
    text = ''.join(f'{name}\n' for name in names)
    if plan.class_file.exists() and plan.class_file.read_bytes() == text.encode():
        return  # stages whose inputs did not change do nothing
    with atomic_write(plan.class_file) as part:
        part.write_bytes(text.encode())


def write_results(
    plan: Plan, seconds: Mapping[str, float], *, gpus: int = 1
) -> dict[str, Any]:
    """Gather the figures of all stages into ``results.json`` and ``report.html``."""
    names = dict.fromkeys(('cam', 'pseudo_mask', *plan.chains, 'segmentation'))
    figures = {
        name: json.loads((plan.folder / f'{name}.json').read_text())
        for name in names
        if (plan.folder / f'{name}.json').is_file()
    }
    results: dict[str, Any] = dict(seconds=dict(seconds), stages=figures)
    if plan.network is not None:
        results['tag_mAP'] = logged_figure(plan.network, 'tag_mAP')
    path, report = plan.folder / 'results.json', plan.folder / 'report.html'
    before = json.loads(path.read_text()) if path.is_file() else {}
    if report.is_file() and all(before.get(key) == results[key] for key in results):
        # Nothing has run: what was used is what was used then.
        return dict(before)
    results['used'] = facts_of_run(plan.cfg, gpus=gpus)
    with atomic_write(path) as part:
        part.write_text(json.dumps(results, indent=1))
    LOGGER.info('wrote %s', path)
    LOGGER.info('wrote %s', write_run_report(plan.folder, workers=plan.workers))
    return results


def cam_stages(plan: Plan) -> list[Stage]:
    """List the stages from tags to evaluated CAMs and their masks."""
    stages, network = [], plan.network
    if network is not None:
        stages = [train_stage('train_cam', plan.config, network, options=plan.options)]
    stages.append(
        cams_stage(
            'gen_pseudo',
            plan.config,
            network,
            plan.folder,
            options=plan.options,
            threshold=plan.threshold,
            workers=plan.workers,
        )
    )
    if plan.truth is None:
        LOGGER.info('no true masks are configured: the pseudo masks are not evaluated')
        return stages
    curve = plan.folder / 'cam_curve.png'
    return [
        *stages,
        evaluation(plan, 'cam', CAM_FOLDER, threshold=plan.threshold, plot=curve),
        evaluation(plan, 'pseudo_mask', MASK_FOLDER),
    ]


def evaluation(
    plan: Plan,
    name: str,
    predictions: str,
    *,
    threshold: float | str | None = None,
    plot: Path | None = None,
) -> Stage:
    """Score a folder of the work folder against the true masks, which exist."""
    if plan.truth is None:
        raise ValueError('there are no true masks to evaluate against')
    truth, names = plan.truth
    return evaluation_stage(
        f'eval_{name}',
        plan.folder / predictions,
        truth,
        names=names,
        num_classes=plan.cfg.num_classes,
        class_file=plan.class_file,
        figures=plan.folder / f'{name}.json',
        threshold=threshold,
        plot=plot,
        workers=plan.workers,
    )


def refinement_stages(
    plan: Plan, chain: str, affinity_options: Mapping[str, Any]
) -> list[Stage]:
    """List the stages from CAMs to masks that a chain has refined, and their score."""
    if chain == 'none':
        return []
    stages, affinity = [], None
    if needs_affinity(plan.cfg, chain):
        affinity = (affinity_config(plan.config), plan.folder / 'affinity')
        scores = plan.folder / SEED_FOLDER
        learns_from = {SEED_SCORES_KEY: str(scores.resolve())}
        stages = [
            seed_scores_stage(
                'seed_scores',
                plan.config,
                plan.network,
                plan.folder,
                options=plan.options,
                workers=plan.workers,
            ),
            train_stage(
                'train_affinity',
                *affinity,
                options={**learns_from, **affinity_options},
                inputs=[scores],
            ),
        ]
    refined = refine_stage(
        f'refine_{chain}',
        plan.config,
        plan.network,
        plan.folder,
        chain=chain,
        affinity=affinity,
        options=plan.options,
        workers=plan.workers,
    )
    if plan.truth is None:
        return [*stages, refined]
    if leaves_pixels_out(plan.cfg, chain):
        LOGGER.info(
            'the masks of %s leave pixels out and are not scored; refine by a chain '
            'that does not, such as crf, and score those',
            chain,
        )
        return [*stages, refined]
    return [*stages, refined, evaluation(plan, chain, mask_folder(chain))]


def segmenter_stages(
    plan: Plan, name: str | None, options: Mapping[str, Any]
) -> list[Stage]:
    """List the stages that retrain a segmenter from the masks and test it."""
    config = segmenter_config(plan.config, name)
    masks, network = plan.folder / mask_folder(plan.chain), plan.folder / 'segmenter'
    options = {MASKS_KEY: str(masks.resolve()), **options}
    cfg = load_config(str(config), options)
    train = train_stage(
        'train_segmenter', config, network, options=options, inputs=[masks]
    )
    if cfg.get('test_dataloader') is None:
        LOGGER.info('no test images are configured: the segmenter is not tested')
        return [train]
    figures = plan.folder / 'segmentation.json' if has_masks(cfg, 'test') else None
    test = segmenter_test_stage(
        'test_segmenter',
        config,
        network,
        options=options,
        out=plan.folder / 'predictions',
        figures=figures,
    )
    return [train, test]
