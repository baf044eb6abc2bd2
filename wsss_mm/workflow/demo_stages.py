"""One run of the demo: its folder, its stages, and what they share."""

from dataclasses import dataclass
from pathlib import Path

from wsss_mm.apis.refine import mask_folder
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.stage import Stage, run_stage

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

    def run(self, name: str, *command: str) -> None:
        """Run one stage, unless it is done."""
        seconds = run_stage(Stage(name, command), self.folder / 'stages')
        LOGGER.info(f'{name}: {seconds:.0f} s')

    def options(
        self, *more: str, loaders: tuple[str, ...] = ('train', 'test')
    ) -> list[str]:
        """Make the ``--cfg-options`` that put a config onto this demo's data."""
        roots = [
            f'{loader}_dataloader.dataset.data_root={self.data}'
            for loader in ('train', 'test')
        ]
        return ['--cfg-options', *roots, f'randomness.seed={self.seed}', *more]

    def train(self, name: str, config: str, *more: str) -> None:
        """Train a network into the folder of its name."""
        quick = ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None')
        options = self.options(*quick, *more)
        out = str(self.folder / name)
        command = ('train.py', str(find_config(config)), '--work-dir', out)
        self.run(f'train_{name}', *command, *options)

    @property
    def pretrained(self) -> str:
        """Weights of the tag classifier that all networks start from."""
        return (self.folder / 'pretrain' / 'last_checkpoint').read_text().strip()

    def pseudo(
        self, name: str, config: str, split: Path, out: Path, *more: str
    ) -> None:
        """Write CAMs and masks of a list of images; ``more`` says which."""
        network = str(self.folder / name)
        kind = '_'.join(word.strip('-') for word in more[:2] if 'workers' not in word)
        self.run(
            '_'.join(filter(None, ['gen_pseudo', name, split.stem, kind])),
            *(
                'gen_pseudo.py',
                str(find_config(config)),
                network,
                '--work-dir',
                network,
            ),
            *('--split', str(split.resolve()), '--out', str(out), '--workers', '0'),
            *more,
            *self.options(),
        )

    def evaluate(self, name: str, predictions: Path, *more: str) -> None:
        """Score a folder of CAMs or masks on the train list."""
        self.run(
            f'eval_{name}',
            *('eval_masks.py', str(predictions), str(self.data / 'SegmentationClass')),
            *('--list', str(self.split('train')), '--dataset', 'synth_voc'),
            *('--json', str(self.folder / f'{name}.json'), '--workers', '1', *more),
        )

    def split(self, name: str) -> Path:
        """Locate a list of images."""
        return self.data / 'ImageSets' / 'Segmentation' / f'{name}.txt'

    def segment(self, name: str, config: str, masks: Path | None) -> None:
        """Train a segmenter from a folder of masks and test it on the val list."""
        more = [f'model.backbone.init_cfg.checkpoint={self.pretrained}']
        if masks is not None:
            key = 'train_dataloader.dataset.data_prefix.seg_map_path'
            more.append(f'{key}={masks.resolve()}')
        self.train(name, config, *more)
        out = self.folder / name
        self.run(
            f'test_{name}',
            *('test.py', str(find_config(config)), str(out)),
            *('--work-dir', str(out), '--tta'),
            *('--out', str(out), *self.options()),
            f'test_evaluator.output_json={self.folder / f"{name}.json"}',
        )

    def mask_folder(self, method: str) -> str:
        """Name the folder of a method's pseudo masks, below its networks'."""
        made = self.folder / network_of(method)
        chains = list(METHODS[method].chains(crf=True))
        masks = mask_folder(chains[-1])
        return masks if (made / masks).is_dir() else mask_folder('pamr')
