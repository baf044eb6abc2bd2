"""tools/run_pipeline.py: every stage, once, from whichever folder."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from wsss_mm.apis import pipeline
from wsss_mm.cli.main import run_command
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask

CAM_STAGES = ('train_cam', 'gen_pseudo', 'eval_cam', 'eval_pseudo_mask')
SEGMENTER_STAGES = ('train_segmenter', 'test_segmenter')
STAGES = (
    *CAM_STAGES,
    *('seed_scores', 'train_affinity', 'refine_rw_crf', 'eval_rw_crf'),
    *SEGMENTER_STAGES,
)
needs_crf = pytest.mark.skipif(
    importlib.util.find_spec('pydensecrf') is None,
    reason='dense CRF is not installed (requirements/crf.txt)',
)


def options(steps):
    loaders = [f'{split}_dataloader' for split in ('train', 'val', 'test')]
    return (
        *(f'{loader}.num_workers=0' for loader in loaders),
        *(f'{loader}.persistent_workers=False' for loader in loaders),
        'train_dataloader.batch_size=2',
        f'train_cfg.max_iters={steps}',
        f'train_cfg.val_interval={steps}',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
    )


CAM_OPTIONS = (*options(4), 'load_from=None')
AFFINITY_OPTIONS = (
    *('train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False'),
    *('train_dataloader.batch_size=2', 'train_cfg.max_iters=2', 'load_from=None'),
)
SEGMENTER_OPTIONS = (*options(2), 'model.backbone.init_cfg=None')


@pytest.fixture(scope='module')
def run(root, tmp_path_factory):
    """Run a tool in an empty folder that holds nothing but data/synth_voc."""
    folder = tmp_path_factory.mktemp('pipeline')
    write_synth_voc(folder / 'data/synth_voc', train=6, val=2, size=64)

    def tool(name, *arguments):
        done = subprocess.run(
            [sys.executable, str(root / 'tools' / name), *map(str, arguments)],
            cwd=folder,
            env=dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
            timeout=1500,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    tool.folder = folder
    return tool


@pytest.fixture(scope='module')
def command(root):
    return (
        *('run_pipeline.py', root / 'configs/seam/seam_r18_synth.py'),
        *('--work-dir', 'out', '--threshold', '0.3'),
        *('--workers', '0'),
        *('--cfg-options', *CAM_OPTIONS),
        *('--affinity-options', *AFFINITY_OPTIONS),
        *('--segmenter-options', *SEGMENTER_OPTIONS),
    )


@pytest.fixture(scope='module')
def finished(run, root, command):
    """The folder of a pipeline whose first training was cut off after two steps."""
    out = run.folder / 'out'
    run(
        *('train.py', root / 'configs/seam/seam_r18_synth.py'),
        *('--work-dir', 'out/cam', '--cfg-options', *CAM_OPTIONS),
        *('train_cfg.max_iters=2', 'train_cfg.val_interval=9'),
    )
    (out / 'train_cam.log').write_text('of the try that was cut off\n')
    printed = run(*command)
    return out, printed


@needs_crf
def test_results(finished):
    out, printed = finished
    results = json.loads((out / 'results.json').read_text())
    assert tuple(results['seconds']) == STAGES
    assert list(results['stages']) == ['cam', 'pseudo_mask', 'rw_crf', 'segmentation']
    for name, figures in results['stages'].items():
        assert 0 <= figures['mIoU'] <= 100
        assert f'{name}: mIoU {figures["mIoU"]:.2f} %' in printed
    cam, masks = results['stages']['cam'], results['stages']['pseudo_mask']
    assert cam['threshold'] == 0.3
    assert cam['mIoU_best'] >= cam['mIoU']
    # CAM files hold float16, masks were made before.
    assert cam['mIoU'] == pytest.approx(masks['mIoU'], abs=1.0)
    assert (out / 'cam_curve.png').is_file()


@needs_crf
def test_every_training_image_has_a_pseudo_mask(run, finished):
    out, _ = finished
    listed = run.folder / 'data/synth_voc/ImageSets/Segmentation/trainaug.txt'
    names = sorted(listed.read_text().split())
    assert len(names) == 8
    assert sorted(path.stem for path in (out / 'masks').iterdir()) == names
    assert sorted(path.stem for path in (out / 'cams').iterdir()) == names
    assert sorted(path.stem for path in (out / 'masks_rw_crf').iterdir()) == names
    for name in names:
        classes, maps = load_cam(out / 'cams' / f'{name}.npz', num_classes=8)
        mask = load_mask(out / 'masks' / f'{name}.png', num_classes=9)
        assert mask.shape == maps.shape[1:]
        assert set(mask.ravel().tolist()) <= {0, *(classes + 1).tolist()}


@needs_crf
def test_the_segmenter_predicts_every_test_image(run, finished):
    listed = run.folder / 'data/synth_voc/ImageSets/Segmentation/val.txt'
    found = sorted(path.stem for path in (finished[0] / 'predictions/masks').iterdir())
    assert found == sorted(listed.read_text().split())


@needs_crf
def test_a_training_that_was_cut_off_is_resumed(finished):
    log = (finished[0] / 'train_cam.log').read_text()
    assert log.startswith('of the try that was cut off\n')
    steps = [number for number in range(1, 5) if f'Iter(train) [{number}/4]' in log]
    assert steps == [3, 4]


@needs_crf
def test_a_second_run_does_nothing(run, finished, command):
    out, _ = finished
    before = {
        path: path.stat().st_mtime_ns
        for path in out.rglob('*')
        if path.is_file() and path.name != 'results.json'
    }
    results = json.loads((out / 'results.json').read_text())
    run(*command)
    after = {
        path: path.stat().st_mtime_ns
        for path in out.rglob('*')
        if path.is_file() and path.name != 'results.json'
    }
    assert after == before
    assert json.loads((out / 'results.json').read_text()) == results


def masks_of(stages):
    key = 'train_dataloader.dataset.data_prefix.seg_map_path'
    return stages['train_segmenter'].options[key]


class TestPlan:
    """Which stages are planned, without running them."""

    @pytest.fixture
    def plan(self, root, monkeypatch, tmp_path):
        planned = []

        def run_stages(stages, folder, *, gpus):
            assert gpus == make.gpus
            planned.extend(stages)
            return {}

        monkeypatch.setattr(pipeline, 'run_stages', run_stages)

        def make(*arguments):
            config = str(root / 'configs/cam/cam_r18_synth.py')
            folder = str(tmp_path / 'out')
            run_command('run', [config, '--work-dir', folder, *arguments])
            return {stage.name: stage for stage in planned}

        make.gpus = 1
        return make

    def test_gpus(self, plan, capsys):
        plan.gpus = 4
        assert tuple(plan('--gpus', '4')) == STAGES
        with pytest.raises(SystemExit):
            plan('--gpus', '0')
        assert 'gpus must be at least 1, not 0' in capsys.readouterr().err

    def test_all_stages(self, plan):
        stages = plan()
        assert tuple(stages) == STAGES
        # The affinity network learns from the scores, and the segmenter from the
        # masks, that the stages before them wrote.
        options = stages['train_affinity'].options
        scores = options['train_dataloader.dataset.data_prefix.seed_scores_path']
        assert scores.endswith('/seed_scores')
        assert '--affinity' in stages['refine_rw_crf'].command
        assert masks_of(stages).endswith('/masks_rw_crf')

    def test_a_chain_may_be_written_with_a_plus(self, plan):
        assert tuple(plan('--refine', 'rw+crf')) == STAGES

    def test_other_refinements(self, plan):
        stages = plan('--refine', 'none')
        assert tuple(stages) == (*CAM_STAGES, *SEGMENTER_STAGES)
        assert masks_of(stages).endswith('/masks')

    def test_a_refinement_without_walk_needs_no_affinity(self, plan):
        stages = plan('--refine', 'pamr')
        middle = ('refine_pamr', 'eval_pamr')
        assert tuple(stages) == (*CAM_STAGES, *middle, *SEGMENTER_STAGES)

    def test_the_threshold_of_the_config_is_the_default(self, plan):
        command = plan()['gen_pseudo'].command
        assert command[command.index('--threshold') + 1] == '0.15'

    def test_an_automatic_threshold_is_chosen_once(self, plan):
        stages = plan('--threshold', 'auto')
        command = stages['gen_pseudo'].command
        assert command[command.index('--threshold') + 1] == 'auto'
        command = stages['eval_cam'].command
        assert command[command.index('--threshold') + 1] == 'auto'
        # That of the masks; another list of images would give another.
        assert '--images' not in command

    @pytest.mark.parametrize(
        'changes',
        [
            ('val_dataloader.dataset.data_prefix.seg_map_path=None',),
            ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None'),
        ],
    )
    def test_without_true_masks_nothing_is_scored(self, plan, capsys, changes):
        stages = plan(
            *('--refine', 'none', '--threshold', 'auto', '--cfg-options', *changes),
            *('--segmenter-options', *changes),
            'test_dataloader.dataset.data_prefix.seg_map_path=None',
        )
        expected = ('train_cam', 'gen_pseudo', 'train_segmenter', 'test_segmenter')
        assert tuple(stages) == expected
        assert 'the pseudo masks are not evaluated' in capsys.readouterr().out
        assert not any('output_json' in key for key in stages['test_segmenter'].options)

    def test_without_test_images(self, plan, capsys):
        stages = plan(
            '--segmenter-options',
            *('test_dataloader=None', 'test_cfg=None', 'test_evaluator=None'),
        )
        assert list(stages)[-1] == 'train_segmenter'
        assert 'the segmenter is not tested' in capsys.readouterr().out
