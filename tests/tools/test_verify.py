import importlib.util
import json

import numpy as np
import pytest
import yaml
from PIL import Image

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow import verify as workflow

PALETTE = [[0, 0, 0], [128, 0, 0]]
METADATA = dict(Recipe='drawn', Seed=0, Hardware='none', Commit='none')


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tool(root):
    return load(root / 'tools/verify.py')


@pytest.fixture(autouse=True)
def here(request, root, monkeypatch):
    """Run the tools of the stages in this process; starting one takes seconds."""
    if 'processes' in request.fixturenames:
        return

    def run(stage, folder):
        name, *arguments = stage.command
        load(root / 'tools' / name).main(arguments)

    monkeypatch.setattr(workflow, 'run_stage', run)


@pytest.fixture
def config(tmp_path):
    """One image, half of it a square; a CAM that covers two thirds of the square."""
    gt = np.zeros((4, 6), np.uint8)
    gt[:, :3] = 1
    cam = np.zeros((1, 4, 6))
    cam[:, :, :2], cam[:, :, 2], cam[:, :, 3] = 0.8, 0.4, 0.2
    image = np.full((4, 6, 3), 40, np.uint8)
    image[:, :3] = 200
    data = tmp_path / 'data'
    save_mask(data / 'gt/a.png', gt, PALETTE)
    (data / 'images').mkdir()
    Image.fromarray(image).save(data / 'images/a.png')
    (data / 'list.txt').write_text('a\n')
    save_cam(tmp_path / 'run/cams/a.npz', [0], cam)
    save_mask(tmp_path / 'run/masks/a.png', (cam[0] > 0.5).astype(np.uint8), PALETTE)
    path = tmp_path / 'config.py'
    path.write_text(
        'num_classes = 2\n'
        'val_dataloader = dict(dataset=dict(\n'
        f'    data_root={str(data)!r}, ann_file="list.txt",\n'
        '    data_prefix=dict(img_path="images", seg_map_path="gt")))\n'
        'test_evaluator = dict(type="VOCIoUMetric")\n'
    )
    return path


@pytest.fixture
def verify(tool, config, tmp_path, capsys):
    """State something and verify it; give the exit status and what was printed."""

    def verify(*entries, options=(), trusted=True, **more):
        results = [dict(Task='test', Verify=entry) for entry in entries]
        model = dict(Name='net', Config=str(config), Metadata=METADATA, Results=results)
        path = tmp_path / 'metafile.yml'
        path.write_text(yaml.safe_dump(dict(Models=[dict(model, **more)])))
        own = ['--configs', str(tmp_path)] if trusted else []
        given = ['--work-dir', str(tmp_path / 'run'), *own, *options]
        status = tool.main([str(path), *given])
        return status, capsys.readouterr().out

    return verify


# At threshold 0.5 (the masks): 8 of 12 pixels of the square, background 12 of 16.
HALF = 100 * (8 / 12 + 12 / 16) / 2


def entry(**fields):
    return dict(
        dict(Predictions='cams', Values={'mIoU': HALF}, Tolerance=0.01), **fields
    )


def test_figures_within_the_tolerance_pass(verify):
    status, text = verify(
        entry(Threshold=0.5, Values={'mIoU': HALF, 'mIoU_best': 100}),
        entry(Predictions='masks'),
        entry(Threshold='auto', Values={'mIoU': 100}),
        entry(Predictions='masks', Values={'mIoU': HALF + 1}, Tolerance=1),
    )
    assert status == 0, text
    assert 'DIFFERS' not in text
    assert text.count(' ok ') == 5


@pytest.fixture
def processes():
    """Start the tools as processes of their own."""


def test_figures_of_a_process_of_its_own(verify, capsys, processes):
    assert verify(entry(Predictions='masks'))[0] == 0
    with pytest.raises(SystemExit) as stop:
        verify(entry(Predictions='masks', Threshold=0.3))
    assert stop.value.code == 2
    assert 'no threshold any more' in capsys.readouterr().err


@pytest.mark.parametrize('off', [0.02, -0.02])
def test_figures_outside_the_tolerance_fail(verify, off):
    wrong = entry(Predictions='masks', Values={'mIoU': HALF + off})
    status, text = verify(wrong, entry(Threshold=0.5))
    assert status == 1
    assert text.count('DIFFERS') == 1
    assert f'{HALF:.2f}' in text


@pytest.mark.parametrize(
    'fields, message',
    [
        (dict(Predictions='nothing'), 'folder it is in with --work-dir'),
        (dict(), 'add --curve, or --threshold'),
        (dict(Predictions='masks', Threshold=0.3), 'no threshold any more'),
        (dict(Tolerance='x'), 'give a number'),
        (dict(Values={'mIoU': float('nan')}), 'mIoU is nan; give a number'),
        (dict(Config='gone.py'), 'no such config'),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(verify, capsys, fields, message):
    with pytest.raises(SystemExit) as stop:
        verify(entry(**fields))
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_data_that_are_elsewhere(verify, config, tmp_path, capsys):
    entry = dict(Predictions='masks', Values={'mIoU': 50.0}, Tolerance=60)
    moved = (tmp_path / 'data').rename(tmp_path / 'elsewhere')
    with pytest.raises(SystemExit) as stop:
        verify(entry)
    assert stop.value.code == 2
    assert 'say where they are with --cfg-options' in capsys.readouterr().err
    place = f'val_dataloader.dataset.data_root={moved}'
    assert verify(entry, options=('--cfg-options', place))[0] == 0


def test_a_name_must_be_in_the_file_and_state_something(verify, capsys):
    for options, results, message in (
        (('--name', 'other'), [], 'no model other; there are net'),
        ((), [dict(Task='told', Metrics={})], 'no Verify entry for net'),
    ):
        with pytest.raises(SystemExit) as stop:
            verify(options=options, Results=results)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_a_checkpoint_is_tested_by_the_test_tool(verify, config, monkeypatch):
    """The command is put together right; tools/test.py has its own tests."""
    stages = []

    def run(stage, folder):
        stages.append(stage)
        with open(stage.options['test_evaluator.output_json'], 'w') as file:
            json.dump({'mIoU': 41.04, 'images': 1}, file)

    monkeypatch.setattr(workflow, 'run_stage', run)
    (config.parent / 'run/net').mkdir()
    stated = dict(Checkpoint='net', Values={'mIoU': 41}, Tolerance=0.05)
    option = 'val_dataloader.dataset.data_root=elsewhere'
    status, text = verify(dict(stated, TTA=True), options=('--cfg-options', option))
    assert status == 0, text
    (stage,) = stages
    command = stage.command
    assert command[0] == 'test.py'
    assert command[1] == str(config)
    assert command[2].endswith('run/net')
    assert '--tta' in command
    assert stage.options['val_dataloader.dataset.data_root'] == 'elsewhere'
    assert verify(dict(stated, Tolerance=0.03))[0] == 1
    assert '--tta' not in stages[-1].command


def test_what_a_failed_evaluation_said_is_shown(verify, config, monkeypatch, capsys):
    def fail(stage, folder):
        raise InputError('stage verify failed: it broke')

    monkeypatch.setattr(workflow, 'run_stage', fail)
    (config.parent / 'run/net').mkdir()
    with pytest.raises(SystemExit) as stop:
        verify(dict(Checkpoint='net', Values={'mIoU': 41}, Tolerance=0.05))
    assert stop.value.code == 2
    assert 'it broke' in capsys.readouterr().err


def test_a_config_of_strangers_is_not_run(verify, config, capsys):
    ran = config.with_name('ran')
    config.write_text(f'open({str(ran)!r}, "w")\n' + config.read_text())
    with pytest.raises(SystemExit):
        verify(entry(Threshold=0.5), trusted=False)
    assert f'--configs {config.parent}' in capsys.readouterr().err
    assert not ran.exists()
