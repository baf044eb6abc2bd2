"""From a CAM network and image tags to CAM files and pseudo masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier

from wsss_mm.apis.background_threshold import AUTO, choose_from_files, write_masks
from wsss_mm.apis.dataset import (
    build_dataset,
    for_pseudo_labels,
    input_folders,
    names_of,
)
from wsss_mm.apis.refine import seed_jobs
from wsss_mm.apis.unreadable import unreadable_images
from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.io.atomic import naming
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.models.decode_heads.base_cam_head import BaseCAMHead
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError, NotFiniteError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.parallel import Failure
from wsss_mm.utils.precision import predict_in_half
from wsss_mm.workflow.kept_files import (
    network_settings,
    note_settings,
    remaining,
    settings_of,
)
from wsss_mm.workflow.launch import load_config, prepare_launcher, register_components
from wsss_mm.workflow.nested_datasets import rows_in_list
from wsss_mm.workflow.processes import share, workers_here
from wsss_mm.workflow.quiet_runner import build_runner
from wsss_mm.workflow.resume import check_start_weights, start_from_nothing
from wsss_mm.workflow.weights import load_start_weights, load_weights

# A process may have to wait for the images of another: a day.
WAIT_SECONDS = 86400


@dataclass(frozen=True)
class GeneratedCAMs:
    """What `generate_cams` left.

    Attributes:
        out: Folder that holds ``cams`` and ``masks``.
        images: How many images there are, those of an earlier run included.
        threshold: Background threshold of the masks, in [0, 1).
        failures: For each image that cannot be read, what is wrong with its file; it
            has no CAM file and no mask.
    """

    out: Path
    images: int
    threshold: float
    failures: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def cams(self) -> Path:
        """Folder of the CAM files."""
        return self.out / CAM_FOLDER

    @property
    def masks(self) -> Path:
        """Folder of the pseudo masks."""
        return self.out / MASK_FOLDER


def generate_cams(
    config: str | Path,
    checkpoint: str | Path | None = None,
    *,
    out: str | Path | None = None,
    split: str | Path | None = None,
    threshold: float | str | None = None,
    single_scale: bool = False,
    save_cams: bool = True,
    overwrite: bool = False,
    work_dir: str | Path | None = None,
    amp: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    workers: int = 0,
) -> GeneratedCAMs:
    """Write the CAMs and pseudo masks of a dataset; images that are done are kept.

    ``<out>/cams/<id>.npz`` holds the normalised CAMs of the classes an image is tagged
    with, float16 of shape (n, H, W), ``<out>/masks/<id>.png`` the palette mask (H, W).

    Args:
        config: Config of the CAM network: a path, or a name of those we ship.
        checkpoint: Its weights, or the folder it was trained into. None for a head
            that needs no training.
        out: Folder of the results; the config's work folder if None.
        split: List file of images; the training data's list if None.
        threshold: Score of the background, in [0, 1), or ``'auto'``: chosen from CAMs
            and images without masks. The config's if None.
        single_scale: Whether to predict one scale without its mirror: a quick look.
        save_cams: Whether to write the CAM files.
        overwrite: Whether to redo images that are done.
        work_dir: Folder of the log.
        amp: Whether the network computes in mixed precision.
        options: Config values to override, by dotted key.
        launcher: ``'none'``, or that of MMEngine which started this process.
        workers: Processes that read files, 0 for none.

    Returns:
        The folders, the number of images, the threshold, and the images that cannot be
        read.

    Raises:
        InputError: If config, checkpoint or tags cannot be used, or the
            folder holds results of other settings or weights.

    Reference:
        The multi-scale inference of SEAM and AffinityNet; see `functional.cam`.
    """
    if not save_cams and threshold == AUTO:
        raise InputError(
            f'threshold={AUTO!r} is chosen from CAM files: leave --no-cams out, or '
            'give a number'
        )
    if isinstance(threshold, str) and threshold != AUTO:
        raise InputError(
            f'threshold={threshold!r}; give a number in [0, 1) or {AUTO!r}'
        )
    cfg = load_config(str(config), options, work_dir=work_dir)
    prepare_launcher(cfg, launcher, wait_seconds=WAIT_SECONDS)
    start_from_nothing(cfg)
    folder = Path(out or cfg.work_dir)
    automatic = threshold == AUTO
    fixed = None if threshold is None or automatic else float(threshold)
    register_components(cfg)
    check_cam_network(cfg, config)
    if checkpoint is None and needs_training(cfg):
        raise InputError(
            f'{config}: its network has to be trained; give the checkpoint, or the '
            'folder it was trained into (wsss train)'
        )
    if checkpoint is None:
        check_start_weights(cfg, what='network')
    cfg = for_pseudo_labels(
        cfg, split=split, threshold=fixed, single_scale=single_scale
    )
    if amp:
        predict_in_half(cfg)
    dataset = build_dataset(cfg)
    todo = unfinished(
        *(cfg, checkpoint, dataset, folder),
        cams=save_cams,
        masks=not automatic,
        overwrite=overwrite,
    )
    count = workers_here(workers, launcher)
    failures = unreadable_images(dataset, todo, workers=count)
    todo = [i for i in todo if i not in failures]
    if todo:
        predict(*(cfg, checkpoint, folder, todo), cams=save_cams, masks=not automatic)
    if automatic:
        every = [i for i in range(len(dataset)) if i not in failures]
        chosen = masks_at_chosen_threshold(dataset, every, folder, workers=count)
    else:
        chosen = float(cfg.model.get('module', cfg.model).test_cfg.background_threshold)
    barrier()
    names = names_of(dataset)
    named = {names[i]: Failure(names[i], text) for i, text in failures.items()}
    return GeneratedCAMs(folder, len(dataset), chosen, named)


def unfinished(
    cfg: Config,
    checkpoint: str | Path | None,
    dataset: Any,
    out: Path,
    *,
    cams: bool,
    masks: bool,
    overwrite: bool,
) -> list[int]:
    """List the images without CAMs or mask; refuse those of other settings."""
    output = OutputFolder(out, inputs=input_folders(cfg))
    output.check(MASK_FOLDER)
    output.check(CAM_FOLDER)
    settings, wanted = network_settings(cfg, checkpoint), []
    if masks:
        wanted.append((out / MASK_FOLDER, '.png'))
        note_settings(out / MASK_FOLDER, settings, overwrite=overwrite)
    if cams:
        wanted.append((out / CAM_FOLDER, '.npz'))
        note_settings(out / CAM_FOLDER, settings['cams'], overwrite=overwrite)
    return remaining(names_of(dataset), *wanted, overwrite=overwrite)


def predict(
    cfg: Config,
    checkpoint: str | Path | None,
    out: Path,
    indices: list[int],
    *,
    cams: bool,
    masks: bool,
) -> None:
    """Run the CAM network over some images."""
    data = cfg.test_dataloader.dataset
    data.indices = rows_in_list(data, indices)
    hook = dict(
        type='PseudoLabelHook',
        out_dir=str(out),
        save_cams=cams,
        save_masks=masks,
        progress=True,
        inputs=input_folders(cfg),
    )
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    if checkpoint is None:
        # A config of what is not trained may say nothing of training, or all of it.
        cfg.train_dataloader = cfg.train_cfg = None
        cfg.optim_wrapper = cfg.param_scheduler = None
    with naming(out):
        runner = build_runner(cfg)
        if checkpoint is None:
            load_start_weights(runner.model)
        else:
            load_weights(runner.model, checkpoint)
        try:
            runner.test()
        except NotFiniteError as error:
            source = 'its start' if checkpoint is None else checkpoint
            raise InputError(f'{error} (weights of {source})') from error
    written = [out / CAM_FOLDER] * cams + [out / MASK_FOLDER] * masks
    LOGGER.info('wrote %s', ', '.join(map(str, written)))


def check_cam_network(cfg: Config, config: str | Path) -> None:
    """Refuse a config whose network makes no CAMs.

    Args:
        cfg: Config whose components are registered.
        config: Its name.

    Raises:
        InputError: If it is that of a segmenter or of an affinity network.
    """
    head = MODELS.get(cfg.model.decode_head.type)
    if isinstance(head, type) and issubclass(head, BaseCAMHead):
        return
    raise InputError(
        f'{config}: its network, a {cfg.model.type} with a '
        f'{cfg.model.decode_head.type}, makes no CAMs; train and test it with '
        'wsss train and wsss test'
    )


def needs_training(cfg: Config) -> bool:
    """Say whether the CAM network of a config has to be trained before it predicts.

    Args:
        cfg: Config whose components are registered.
    """
    head = MODELS.get(cfg.model.decode_head.type)
    return bool(getattr(head, 'trainable', True))


def masks_at_chosen_threshold(
    dataset: Any, every: Sequence[int], out: Path, *, workers: int
) -> float:
    """Choose the background threshold from all CAM files and make all masks with it."""
    barrier()  # the CAM files of the other processes
    files = [one for _, one in seed_jobs(dataset, every, out)]
    threshold = choose_from_files(files, workers=workers)
    LOGGER.info('background threshold %.2f, chosen without masks', threshold)
    settings = dict(cams=settings_of(out / CAM_FOLDER), threshold=threshold)
    note_settings(out / MASK_FOLDER, settings, overwrite=True)
    jobs = seed_jobs(dataset, share(every), out)
    palette = dataset.metainfo['palette']
    write_masks(jobs, out / MASK_FOLDER, threshold=threshold, palette=palette)
    LOGGER.info('wrote %s', out / MASK_FOLDER)
    return threshold
