"""Turn a trained CAM network and image tags into CAM files and pseudo masks.

The masks of the CAMs alone go to masks/. A chain of refiners (--refine rw+crf) writes
its own to masks_rw_crf/; CAM files that are there already are not made again.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from wsss_mm.apis.background_threshold import (
    AUTO,
    choose_from_files,
    write_masks,
)
from wsss_mm.apis.refine import (
    SEED_FOLDER,
    AffinityNetwork,
    chain_steps,
    mask_folder,
    needs_affinity,
    save_all,
    save_refined,
    save_seed_scores,
    score_folder,
    seed_jobs,
    training_scores,
    with_affinity,
)
from wsss_mm.cli.command_line import (
    add_config_options,
    parse_with_launcher,
    readable_errors,
    threshold_option,
)
from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.refinement import build_chain, refine_all, run_pool
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.kept_files import (
    claim,
    network_settings,
    remaining,
    settings_of,
)
from wsss_mm.workflow.launch import load_config, prepare_launcher
from wsss_mm.workflow.processes import share, share_of_remaining, workers_here
from wsss_mm.workflow.resume import start_from_nothing
from wsss_mm.workflow.weights import fingerprint, load_weights

# A process may have to wait for the images of another: a day.
WAIT_SECONDS = 86400


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the CAM network')
    parser.add_argument(
        'checkpoint', help='checkpoint or work folder of tools/train.py'
    )
    parser.add_argument(
        '--out',
        help=f'folder for {CAM_FOLDER}/ and {MASK_FOLDER}/ (default: the work folder)',
    )
    parser.add_argument(
        '--split', help="list file of images (default: the training data's list)"
    )
    parser.add_argument(
        '--threshold',
        type=threshold_option,
        help=f'background threshold, or {AUTO}: chosen from the CAMs and images, '
        'without masks (default: from config)',
    )
    parser.add_argument(
        '--single-scale', action='store_true', help='one scale, no mirror: a quick look'
    )
    parser.add_argument('--no-cams', action='store_true', help='write masks only')
    parser.add_argument(
        '--overwrite', action='store_true', help='redo images that are done'
    )
    parser.add_argument('--work-dir', help='folder of the log')
    add_config_options(parser)
    add_refinement_options(parser.add_argument_group('refinement'))
    return parse_with_launcher(parser)


def add_refinement_options(refinement: argparse._ArgumentGroup) -> None:
    """Add the options of what is made of CAM files."""
    refinement.add_argument(
        '--refine',
        default='none',
        help="chain of the config's `refine`: crf, rw, rw+crf, pamr (default: none)",
    )
    refinement.add_argument(
        '--affinity',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='affinity network that a random walk follows',
    )
    refinement.add_argument(
        '--seed-scores',
        action='store_true',
        help=f'write {SEED_FOLDER}/, which the affinity network learns from',
    )
    refinement.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='processes for dense CRF on a machine, 0 for none (default: one a CPU)',
    )
    refinement.add_argument(
        '--keep-scores',
        action='store_true',
        help=f'write the refined scores of the classes to {CAM_FOLDER}_<chain>/',
    )
    refinement.add_argument(
        '--ignore-margin',
        type=float,
        help='mark pixels as 255 whose best class leads by less than this',
    )


def test_dataset(cfg: Config) -> Any:
    """Build the dataset that the test loop of a config goes through."""
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    return DATASETS.build(cfg.test_dataloader.dataset)


def names_of(dataset: Any) -> list[str]:
    """List the images of a dataset."""
    return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


def prepare(cfg: Config, args: argparse.Namespace) -> Config:
    """Turn a training config into one whose test loop sees images and tags only."""
    data = cfg.test_dataloader.dataset
    # Without a list the images are those of the tag file.
    data.ann_file = args.split or cfg.train_dataloader.dataset.get('ann_file', '')
    data.data_prefix.seg_map_path = None  # tags only: no mask is read here
    if not args.single_scale:
        data.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    if args.threshold not in (None, AUTO):
        model = cfg.model if args.single_scale else cfg.model['module']
        model['test_cfg']['background_threshold'] = args.threshold
    cfg.test_evaluator = dict(type='Evaluator', metrics=[])
    # Where the bar is not shown, the log tells the time left.
    cfg.default_hooks.logger.interval = 1000 if sys.stdout.isatty() else 50
    return cfg


def make_cams(cfg: Config, args: argparse.Namespace, dataset: Any, out: Path) -> None:
    """Run the CAM network over the images that have no CAMs or masks yet."""
    settings, wanted = network_settings(cfg, args.checkpoint), []
    if args.threshold != AUTO:
        wanted.append((out / MASK_FOLDER, '.png'))
        claim(out / MASK_FOLDER, settings, overwrite=args.overwrite)
    if not args.no_cams:
        wanted.append((out / CAM_FOLDER, '.npz'))
        claim(out / CAM_FOLDER, settings['cams'], overwrite=args.overwrite)
    todo = remaining(names_of(dataset), *wanted, overwrite=args.overwrite)
    if not todo:
        return
    cfg.test_dataloader.dataset.indices = todo
    hook = dict(
        type='PseudoLabelHook',
        out_dir=str(out),
        save_cams=not args.no_cams,
        save_masks=args.threshold != AUTO,
        progress=True,
    )
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    runner = Runner.from_cfg(cfg)
    load_weights(runner.model, args.checkpoint)
    runner.test()
    LOGGER.info(f'wrote {", ".join(str(folder) for folder, _ in wanted)}')


def make_masks(args: argparse.Namespace, dataset: Any, out: Path) -> None:
    """Choose the background threshold from all CAM files and make all masks with it."""
    barrier()  # the CAM files of the other processes
    every = range(len(dataset))
    files = [one for _, one in seed_jobs(dataset, every, out)]
    threshold = choose_from_files(files, workers=args.workers)
    LOGGER.info(f'background threshold {threshold:.2f}, chosen without masks')
    settings = dict(cams=settings_of(out / CAM_FOLDER), threshold=threshold)
    claim(out / MASK_FOLDER, settings, overwrite=True)
    jobs = seed_jobs(dataset, share(every), out)
    palette = dataset.metainfo['palette']
    write_masks(jobs, out / MASK_FOLDER, threshold=threshold, palette=palette)
    LOGGER.info(f'wrote {out / MASK_FOLDER}')


def refine(cfg: Config, args: argparse.Namespace, dataset: Any, out: Path) -> dict:
    """Refine the CAM files into masks; return the message of each image that failed."""
    folder = out / mask_folder(args.refine)
    walks = needs_affinity(cfg, args.refine)
    settings = dict(
        cams=settings_of(out / CAM_FOLDER),
        chain=chain_steps(cfg, args.refine),
        affinity=fingerprint(args.affinity[1]) if walks else None,
        margin=args.ignore_margin,
    )
    claim(folder, settings, overwrite=args.overwrite)
    wanted = [(folder, '.png')]
    if args.keep_scores:
        wanted.append((out / score_folder(args.refine), '.npz'))
    todo = share_of_remaining(names_of(dataset), *wanted, overwrite=args.overwrite)
    jobs = seed_jobs(dataset, todo, out)
    if walks:
        network = AffinityNetwork(load_config(args.affinity[0]), args.affinity[1])
        data = dict(cfg.test_dataloader.dataset)
        jobs = with_affinity(jobs, network.predict(data, todo))
    chain = build_chain({args.refine: chain_steps(cfg, args.refine)}, args.refine)
    save = partial(
        save_refined,
        out=out,
        chain=args.refine,
        palette=dataset.metainfo['palette'],
        margin=args.ignore_margin,
        keep_scores=args.keep_scores,
    )
    results = refine_all(jobs, chain, workers=args.workers)
    failures = save_all(results, save, total=len(todo))
    LOGGER.info(f'wrote {folder}')
    return failures


def make_seed_scores(
    cfg: Config, args: argparse.Namespace, dataset: Any, out: Path
) -> dict:
    """Write what the affinity network learns from; return what failed."""
    folder = out / SEED_FOLDER
    settings = dict(
        cams=settings_of(out / CAM_FOLDER), training_scores=cfg.training_scores
    )
    claim(folder, settings, overwrite=args.overwrite)
    wanted = (folder, '.npz')
    todo = share_of_remaining(names_of(dataset), wanted, overwrite=args.overwrite)
    jobs = seed_jobs(dataset, todo, out)
    results = run_pool(jobs, training_scores(cfg), workers=args.workers)
    save = partial(save_seed_scores, folder=folder)
    failures = save_all(results, save, total=len(todo))
    LOGGER.info(f'wrote {folder}')
    return failures


def check(cfg: Config, args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is computed."""
    refines = args.refine != 'none'
    if args.no_cams and args.threshold == AUTO:
        raise InputError(f'--threshold {AUTO} reads CAM files: leave --no-cams out')
    if args.no_cams and (refines or args.seed_scores):
        raise InputError('--no-cams leaves nothing to refine: leave one of them out')
    if refines and needs_affinity(cfg, args.refine) and args.affinity is None:
        raise InputError(
            f'--refine {args.refine} walks along affinities: add --affinity CONFIG '
            'CHECKPOINT, the affinity network that tools/train.py made'
        )
    if args.seed_scores:
        training_scores(cfg)


def main() -> None:
    args = parse_args()
    with readable_errors():
        cfg = load_config(args.config, args.cfg_options, work_dir=args.work_dir)
        prepare_launcher(cfg, args.launcher, wait_seconds=WAIT_SECONDS)
        args.workers = workers_here(args.workers, args.launcher)
        start_from_nothing(cfg)
        check(cfg, args)
        out = Path(args.out or cfg.work_dir)
        if args.threshold is None and (args.seed_scores or args.refine != 'none'):
            # The CAMs' masks are no aim then: those that are there stay.
            args.threshold = (settings_of(out / MASK_FOLDER) or {}).get('threshold')
        cfg = prepare(cfg, args)
        dataset = test_dataset(cfg)
        make_cams(cfg, args, dataset, out)
        if args.threshold == AUTO:
            make_masks(args, dataset, out)
        failures = {}
        if args.seed_scores:
            failures |= make_seed_scores(cfg, args, dataset, out)
        if args.refine != 'none':
            failures |= refine(cfg, args, dataset, out)
        barrier()  # launchers end all processes when one ends with an error
        if failures:
            shown = '\n  '.join(f'{k}: {v}' for k, v in sorted(failures.items()))
            raise InputError(
                f'{len(failures)} of {len(dataset)} images failed:\n  {shown}'
            )


if __name__ == '__main__':
    main()
