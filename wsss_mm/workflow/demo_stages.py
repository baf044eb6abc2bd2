"""One run of the demo: its folder, its stages, and what they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsss_mm.datasets import SynthVOCDataset
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.folders import mask_folder
from wsss_mm.workflow.method import (
    cams_stage,
    evaluation_stage,
    refine_stage,
    seed_scores_stage,
    segmenter_test_stage,
    train_stage,
)
from wsss_mm.workflow.stage import Stage, run_stage
from wsss_mm.workflow.weights import latest_weights

# What the segmenter learns from is called the pseudo mask, whichever chain made it.
STAGES_OF_CHAINS = {'crf': 'crf', 'rw': 'random_walk', 'rw_crf': 'pseudo_mask'}
BASELINE, SUPERVISED = 'cam_baseline', 'fully_supervised'


@dataclass(frozen=True)
class Method:
    """What the demo runs for one method.

    Attributes:
        title: Its name in the report.
        config: Of its CAM network.
        walks: Whether an affinity network and a random walk refine its CAMs.
    """

    title: str
    config: str
    walks: bool = True

    @property
    def file(self) -> str:
        """The config's path, from any folder."""
        return str(find_config(self.config))

    def chains(self, *, crf: bool) -> dict[str, str]:
        """Name the stage that each chain of refiners makes; the last is trained on."""
        if not crf:
            return {'pamr': 'pseudo_mask'}
        return STAGES_OF_CHAINS if self.walks else {'crf': 'pseudo_mask'}


PLAIN = 'configs/cam/cam_r18_synth.py'
METHODS = {
    'cam': Method('CAM', PLAIN, walks=False),
    'affinitynet': Method('AffinityNet', PLAIN),
    'seam': Method('SEAM', 'configs/seam/seam_r18_synth.py'),
    'seenet': Method('SeeNet', 'configs/seenet/seenet_r18_synth.py'),
    'puzzle_cam': Method('Puzzle-CAM', 'configs/puzzle_cam/puzzle_cam_r18_synth.py'),
    'erasing_seam': Method(
        'SEAM + erasing', 'configs/seenet/erasing_seam_r18_synth.py'
    ),
    'puzzle_seam': Method(
        'SEAM + puzzle', 'configs/puzzle_cam/puzzle_seam_r18_synth.py'
    ),
}


def network_of(method: str) -> str:
    """Name the folder of a method's CAM network; plain CAM is the baseline's."""
    return BASELINE if METHODS[method].config == PLAIN else f'{method}_cam'


@dataclass(frozen=True)
class Demo:
    """One run of the demo: where it writes, and what its stages share.

    Attributes:
        folder: Receives everything.
        methods: Names of the methods shown.
        seed: Seed of the data and of all networks.
    """

    folder: Path
    methods: tuple[str, ...]
    seed: int

    @property
    def data(self) -> Path:
        """The generated dataset."""
        return self.folder / 'synth_voc'

    def run(self, stage: Stage) -> None:
        """Run one stage, unless it is done."""
        seconds = run_stage(stage, self.folder / 'stages')
        LOGGER.info('%s: %.0f s', stage.name, seconds)

    @property
    def options(self) -> dict[str, Any]:
        """Config values that put a config onto this demo's data."""
        roots = {
            f'{loader}_dataloader.dataset.data_root': str(self.data)
            for loader in ('train', 'test')
        }
        return {**roots, 'randomness.seed': self.seed}

    def make_data(self, *, train: int, val: int) -> None:
        """Generate the images."""
        tool = 'dataset_converters/make_synth_voc.py'
        counts = ('--train', str(train), '--val', str(val), '--seed', str(self.seed))
        settings = dict(train=train, val=val, seed=self.seed)
        command = (tool, str(self.data), *counts)
        self.run(Stage('synth_voc', command, settings=settings, outputs=(self.data,)))

    def train(
        self, name: str, config: str | Path, more: Mapping[str, Any], *inputs: Path
    ) -> None:
        """Train a network into the folder of its name."""
        quick = dict(val_dataloader=None, val_cfg=None, val_evaluator=None)
        options = {**self.options, **quick, **more}
        out = self.folder / name
        stage = train_stage(
            f'train_{name}', config, out, options=options, inputs=inputs
        )
        self.run(stage)

    @property
    def pretrained(self) -> str:
        """Weights of the tag classifier that all networks start from."""
        return str(latest_weights(self.folder / 'pretrain'))

    def cams(self, name: str, config: str, split: Path, out: Path) -> None:
        """Write CAMs and masks of a list of images."""
        network = self.folder / name
        self.run(
            cams_stage(
                f'gen_pseudo_{name}_{split.stem}',
                *(config, network, out),
                options=self.options,
                split=split,
            )
        )

    def seed_scores(self, name: str, config: str, split: Path, out: Path) -> None:
        """Write what an affinity network learns from, of a list of images."""
        self.run(
            seed_scores_stage(
                f'gen_pseudo_{name}_{split.stem}_seed-scores',
                *(config, self.folder / name, out),
                options=self.options,
                split=split,
            )
        )

    def refine(
        self,
        name: str,
        config: str,
        split: Path,
        out: Path,
        *,
        chain: str,
        walk: tuple[Path, Path] | None = None,
    ) -> None:
        """Refine the CAMs of a list of images, along a network's affinities or not."""
        self.run(
            refine_stage(
                f'gen_pseudo_{name}_{split.stem}_refine_{chain}',
                *(config, self.folder / name, out),
                chain=chain,
                affinity=walk,
                options=self.options,
                split=split,
            )
        )

    def evaluate(
        self, name: str, predictions: Path, *, threshold: float | None = None
    ) -> None:
        """Score a folder of masks, or of CAMs at a threshold, on the train list."""
        self.run(
            evaluation_stage(
                f'eval_{name}',
                predictions,
                self.data / 'SegmentationClass',
                names=self.split('train'),
                num_classes=len(SynthVOCDataset.METAINFO['classes']),
                figures=self.folder / f'{name}.json',
                threshold=threshold,
                workers=1,
            )
        )

    def split(self, name: str) -> Path:
        """Locate a list of images."""
        return self.data / 'ImageSets' / 'Segmentation' / f'{name}.txt'

    def segment(self, name: str, config: str | Path, masks: Path | None) -> None:
        """Train a segmenter from a folder of masks and test it on the val list."""
        start = {'model.backbone.init_cfg.checkpoint': self.pretrained}
        if masks is None:
            self.train(name, config, start)
        else:
            key = 'train_dataloader.dataset.data_prefix.seg_map_path'
            self.train(name, config, {**start, key: str(masks.resolve())}, masks)
        out = self.folder / name
        self.run(
            segmenter_test_stage(
                f'test_{name}',
                config,
                out,
                options=self.options,
                out=out,
                figures=self.folder / f'{name}.json',
            )
        )

    def mask_folder(self, method: str) -> str:
        """Name the folder of a method's pseudo masks, below its networks'."""
        made = self.folder / network_of(method)
        chains = list(METHODS[method].chains(crf=True))
        masks = mask_folder(chains[-1])
        return masks if (made / masks).is_dir() else mask_folder('pamr')
