"""Two processes must train and test as one does; on the CPU, through gloo.

How a run is split: MMEngine's `InfiniteSampler` draws one endless shuffled stream
of images, the same on every rank, and rank r of R takes items r, r + R, r + 2R...
R ranks with batches of b therefore see, in every step, the same images as one
process with batches of R * b. All four losses of SEAM are means over the images of
a batch (the hardest pixels are picked per image), so the mean of the ranks' losses
is the loss of the large batch, and so are the gradients, which
DistributedDataParallel averages. This needs images of one size, no batch
statistics (group norm here) and nothing random per image. A segmenter's cross
entropy is a mean over the pixels that are not ignored, whose number differs
between ranks: there the equality holds only where it does not.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wsss_mm.datasets.synth_voc import write_synth_voc

STEPS = 4
# Trained on seven, so that four steps of four pass the end of the list; tested on
# five, so that two ranks have to fill up.
TRAIN = 5

CONFIG = """
_base_ = {base!r}
data = {data!r}
load_from = None
custom_imports = dict(
    imports=['wsss_mm.datasets', 'wsss_mm.engine', 'wsss_mm.evaluation',
             'wsss_mm.models', 'record_steps'])
custom_hooks = [dict(type='RecordSteps')]
norm = dict(_delete_=True, type='GN', num_groups=4)
model = dict(backbone=dict(norm_cfg=norm))
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data, pipeline=[
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(type='BGRToRGB'),
        dict(type='Resize', scale=(64, 64), keep_ratio=False),
        dict(type='NormalizeFloat'),
        dict(type='PackWSSSInputs')]))
test_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data))
val_dataloader = val_evaluator = val_cfg = None
# Plain steps: AdamW would hide a gradient that is off by a factor.
optim_wrapper = dict(
    paramwise_cfg=None,
    optimizer=dict(_delete_=True, type='SGD', lr=0.05, momentum=0.9))
param_scheduler = []
train_cfg = dict(max_iters={steps}, val_interval=1000)
"""

HOOK = """
import json
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from wsss_mm.registry import HOOKS


@HOOKS.register_module()
class RecordSteps(Hook):
    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        losses = {name: float(value.detach()) for name, value in outputs.items()}
        images = [sample.img_id for sample in data_batch['data_samples']]
        self.steps.append(dict(losses=losses, images=images))

    def after_train(self, runner):
        folder, rank = Path(runner.work_dir), runner.rank
        wrapped = is_model_wrapper(runner.model)
        found = dict(steps=self.steps, wrapped=wrapped, world=runner.world_size)
        (folder / f'steps_{rank}.json').write_text(json.dumps(found))
        model = runner.model.module if wrapped else runner.model
        torch.save(model.state_dict(), folder / f'weights_{rank}.pth')
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def start(name, command, folder, root):
    """Start a tool on the CPU, its output in a file."""
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PORT=str(free_port()),
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
        PYTHONPATH=f'{root}{os.pathsep}{folder}',
    )
    log = folder / f'{name}.log'
    with log.open('w') as sink:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    return process, log


def run_both(one, two, folder, root):
    """Run a command in one process and one in two, side by side."""
    python = [sys.executable, root / 'tools' / one[0]]
    started = [
        start(f'{one[0]}_one', [*python, *one[1:]], folder, root),
        start(f'{two[0]}_two', [root / 'tools' / two[0], *two[1:]], folder, root),
    ]
    for process, log in started:
        assert process.wait(timeout=900) == 0, log.read_text()[-3000:]


@pytest.fixture(scope='module')
def folder(root, tmp_path_factory):
    """Train the same network in one process and in two."""
    folder = tmp_path_factory.mktemp('distributed')
    data = write_synth_voc(folder / 'data', train=TRAIN, val=1, size=64)
    base = str(root / 'configs/seam/seam_r18_synth.py')
    config = folder / 'config.py'
    config.write_text(CONFIG.format(base=base, data=str(data), steps=STEPS))
    (folder / 'record_steps.py').write_text(HOOK)
    batch = ('--cfg-options', 'train_dataloader.batch_size=')
    run_both(
        ['train.py', config, '--work-dir', folder / 'one', batch[0], batch[1] + '4'],
        [
            *('dist_train.sh', config, 2),
            *('--work-dir', folder / 'two', batch[0], batch[1] + '2'),
        ],
        folder,
        root,
    )
    return folder


@pytest.fixture(scope='module')
def steps(folder):
    """What the single process saw, and each of the two ranks."""
    runs = [
        json.loads((folder / name).read_text())
        for name in ('one/steps_0.json', 'two/steps_0.json', 'two/steps_1.json')
    ]
    assert [(run['world'], run['wrapped']) for run in runs] == [
        (1, False),
        (2, True),
        (2, True),
    ]
    return [run['steps'] for run in runs]


def test_every_step_sees_the_same_images(steps):
    one, first, second = steps
    for whole, left, right in zip(one, first, second, strict=True):
        assert len(whole['images']) == 4
        assert whole['images'][0::2] == left['images']
        assert whole['images'][1::2] == right['images']


def test_the_mean_of_the_ranks_losses_is_the_loss_of_one_process(steps):
    one, first, second = steps
    assert len(one) == STEPS
    for whole, left, right in zip(one, first, second, strict=True):
        names = {'loss', 'loss_cls', 'loss_er', 'loss_ecr', 'loss_min_pool'}
        assert set(whole['losses']) == names
        for name in names:
            mean = (left['losses'][name] + right['losses'][name]) / 2
            assert mean == pytest.approx(whole['losses'][name], rel=1e-4), name
    # The ranks do have different images, and the steps do learn.
    assert first[0]['losses'] != second[0]['losses']
    assert abs(one[-1]['losses']['loss'] - one[0]['losses']['loss']) > 0.01


def test_the_weights_end_up_the_same(folder):
    one, first, second = (
        torch.load(folder / name, weights_only=True)
        for name in ('one/weights_0.pth', 'two/weights_0.pth', 'two/weights_1.pth')
    )
    assert one.keys() == first.keys()
    for name, weight in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], weight, rtol=1e-3, atol=1e-5, msg=name)


def test_two_processes_measure_what_one_does(root, folder):
    checkpoint = folder / 'one'
    metric = '--cfg-options', 'test_evaluator.0.output_json='
    arguments = {
        name: [
            *('--work-dir', folder / f'test_{name}', '--out', folder / f'out_{name}'),
            *(metric[0], f'{metric[1]}{folder / name}.json'),
        ]
        for name in ('one', 'two')
    }
    config = folder / 'config.py'
    run_both(
        ['test.py', config, checkpoint, *arguments['one']],
        ['dist_test.sh', config, checkpoint, 2, *arguments['two']],
        folder,
        root,
    )
    one, two = (
        json.loads((folder / f'{name}.json').read_text()) for name in ('one', 'two')
    )
    assert one['images'] == two['images'] == TRAIN
    assert one == two
    masks = sorted(path.name for path in (folder / 'out_one/masks').iterdir())
    assert len(masks) == TRAIN
    for name in masks:
        pair = [folder / f'out_{run}/masks' / name for run in ('one', 'two')]
        assert pair[0].read_bytes() == pair[1].read_bytes()


def test_two_processes_make_the_pseudo_masks_of_one(root, folder, write_affinity):
    given = [folder / 'config.py', folder / 'one']
    # The images differ in size, so an affinity of another one would not fit.
    affinity = write_affinity(folder, folder / 'data')
    more = ['--single-scale', '--refine', 'rw', '--affinity', *affinity]
    more += ['--workers', '2', '--work-dir', folder / 'generated']

    def generate():
        run_both(
            ['gen_pseudo.py', *given, *more, '--out', folder / 'made_one'],
            ['dist_gen_pseudo.sh', *given, 2, *more, '--out', folder / 'made_two'],
            folder,
            root,
        )

    def files(run):
        top = folder / f'made_{run}'
        return {str(path.relative_to(top)): path for path in top.glob('*/*')}

    generate()
    one, two = files('one'), files('two')
    assert one.keys() == two.keys()
    folders = {Path(name).parent.name for name in one}
    assert folders == {'cams', 'masks', 'masks_rw'}
    split = folder / 'data/ImageSets/Segmentation/trainaug.txt'
    assert len(one) == 3 * len(split.read_text().split()) == 21
    for name, path in one.items():
        assert path.read_bytes() == two[name].read_bytes(), name
    # All CAMs are there and one process has a refined mask left to make.
    lost = sorted(name for name in one if name.startswith('masks_rw'))[1]
    kept = {name: path.stat().st_mtime_ns for name, path in two.items() if name != lost}
    expected = two[lost].read_bytes()
    for run in (one, two):
        run[lost].unlink()
    generate()
    assert two[lost].read_bytes() == expected
    assert kept == {name: two[name].stat().st_mtime_ns for name in kept}


@pytest.mark.parametrize(
    'script, given',
    [
        ('dist_train.sh', ['config.py']),
        ('dist_test.sh', ['c', 'd']),
        ('dist_gen_pseudo.sh', ['c', 'd']),
    ],
)
def test_missing_arguments_are_explained(root, script, given):
    done = subprocess.run(
        [str(root / 'tools' / script), *given], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert 'usage:' in done.stderr
    assert 'GPUS' in done.stderr
