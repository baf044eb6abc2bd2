"""SECURITY.md's tables: every hostile kind of file, by every route, runs nothing."""

import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner import checkpoint as mmengine_checkpoint

from wsss_mm.checkpoints.safe_loading import weights_only_loads
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.metafile import read_checks
from wsss_mm.workflow.resume import start_from
from wsss_mm.workflow.verify import select_checks, verify_check
from wsss_mm.workflow.weights import load_weights, read_state_dict


class Call:
    """Unpickling it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Reach:
    """Unpickling it writes into the built-ins, by way of getattr."""

    def __reduce__(self):
        inner = Call(getattr, getattr, '__self__')
        items = iter([('left_by_a_checkpoint', 1)])
        return getattr, (inner, '__dict__'), None, None, items


@pytest.fixture
def cfg(cam_config):
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    return cam_config


@pytest.fixture
def weights(cfg):
    return MODELS.build(cfg.model).state_dict()


@pytest.fixture(autouse=True)
def trap(tmp_path):
    """A file that is there afterwards if something ran."""
    import builtins

    path = tmp_path / 'it_ran'
    yield path
    reached = vars(builtins).pop('left_by_a_checkpoint', None)
    assert not path.exists()
    assert reached is None


def plain_pickle(content, path):
    with path.open('wb') as file:
        pickle.dump(content, file)


def old_format(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def whole(weights, **more):
    resumable = dict(iter=1, epoch=0, seed=0)
    log = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    content = dict(state_dict=weights, meta=resumable, message_hub=log)
    return dict(content, **more)


FILES = {
    'pickle': lambda trap, weights, path: torch.save(Call(Path.touch, trap), path),
    'plain pickle file': lambda trap, weights, path: plain_pickle(
        Call(Path.touch, trap), path
    ),
    'old format': lambda trap, weights, path: old_format(Call(Path.touch, trap), path),
    'call in the meta data': lambda trap, weights, path: torch.save(
        whole(weights, meta=dict(iter=1, epoch=0, x=Call(Path.touch, trap))), path
    ),
    'call in the optimizer': lambda trap, weights, path: torch.save(
        whole(weights, optimizer=dict(state=Call(Path.touch, trap))), path
    ),
    'getattr': lambda trap, weights, path: torch.save(
        whole(weights, extra=Reach()), path
    ),
}


def by_load_from(cfg, path):
    cfg.load_from = str(path)
    start_from(cfg, resume=False)
    Runner.from_cfg(cfg).train()


def by_resumed_load_from(cfg, path):
    cfg.load_from, cfg.resume = str(path), True
    Runner.from_cfg(cfg).train()


def by_init_cfg(cfg, path, **more):
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(path), **more)
    start_from(cfg, resume=False)
    Runner.from_cfg(cfg).train()


def by_prefix(cfg, path):
    by_init_cfg(cfg, path, prefix='backbone')


def by_resume(cfg, path):
    Path(cfg.work_dir).mkdir()
    shutil.copy(path, Path(cfg.work_dir, 'iter_1.pth'))
    path.unlink()
    start_from(cfg, resume=True)
    Runner.from_cfg(cfg).train()


def by_prediction(cfg, path):
    load_weights(MODELS.build(cfg.model), path)


def by_download(cfg, path):
    # What load_url does after the download.
    inner = mmengine_checkpoint.load_url
    mmengine_checkpoint.load_url = lambda url, map_location=None, **_: torch.load(
        path, map_location=map_location, weights_only=False
    )
    try:
        CheckpointLoader.load_checkpoint('https://example.com/file.pth')
    finally:
        mmengine_checkpoint.load_url = inner


def by_torch_load(cfg, path):
    with weights_only_loads():
        torch.load(path, weights_only=False, pickle_module=pickle)


ROUTES = {
    '`load_from`': by_load_from,
    '`load_from` while resuming': by_resumed_load_from,
    '`init_cfg.checkpoint`': by_init_cfg,
    '`init_cfg.checkpoint` with a prefix': by_prefix,
    '`--resume`': by_resume,
    'a work folder or file given to test or predict': by_prediction,
    'a download': by_download,
    'a loader that calls `torch.load` in a training': by_torch_load,
}


@pytest.mark.parametrize('route', ROUTES)
@pytest.mark.parametrize('kind', FILES)
def test_a_checkpoint(cfg, weights, tmp_path, trap, kind, route):
    path = tmp_path / 'hostile.pth'
    FILES[kind](trap, weights, path)
    with pytest.raises(InputError, match=r'hostile\.pth|iter_1\.pth'):
        ROUTES[route](cfg, path)


@pytest.mark.parametrize('route', ['`load_from` while resuming', '`--resume`'])
def test_config_text_is_left_out(cfg, weights, tmp_path, trap, route):
    text = f'open({str(trap)!r}, "w")'
    content = whole(weights, meta=dict(iter=1, epoch=0, seed=0, config=text))
    torch.save(content, tmp_path / 'hostile.pth')
    ROUTES[route](cfg, tmp_path / 'hostile.pth')


def test_the_traps_work(tmp_path, weights):
    """Unpickled, each of them does what the others are kept from."""
    import builtins

    for kind, write in FILES.items():
        trap = tmp_path / 'sprung'
        write(trap, weights, tmp_path / 'hostile.pth')
        if kind == 'plain pickle file':
            pickle.loads((tmp_path / 'hostile.pth').read_bytes())
        else:
            torch.load(tmp_path / 'hostile.pth', weights_only=False)
        reached = vars(builtins).pop('left_by_a_checkpoint', None)
        assert trap.exists() or reached, kind
        trap.unlink(missing_ok=True)


def evil_yaml(trap):
    return f'a: !!python/object/apply:os.mkdir [{trap}]\n'


def yaml_config(tmp_path, trap):
    (tmp_path / 'config.yml').write_text(evil_yaml(trap))
    load_config(str(tmp_path / 'config.yml'))


def json_config(tmp_path, trap):
    (tmp_path / 'base.py').write_text(f'open({str(trap)!r}, "w")\n')
    (tmp_path / 'config.json').write_text('{"_base_": "base.py"}')
    load_config(str(tmp_path / 'config.json'))


def yaml_base(tmp_path, trap):
    (tmp_path / 'base.yml').write_text(evil_yaml(trap))
    (tmp_path / 'config.py').write_text('_base_ = "base.yml"\n')
    load_config(str(tmp_path / 'config.py'))


def yaml_metafile(tmp_path, trap):
    (tmp_path / 'metafile.yml').write_text(evil_yaml(trap))
    read_checks(tmp_path / 'metafile.yml')


def config_of_a_metafile(tmp_path, trap):
    (tmp_path / 'config.py').write_text(f'open({str(trap)!r}, "w")\n')
    entry = dict(Predictions='cams', Values=dict(mIoU=1), Tolerance=1)
    told = dict(Recipe='r', Seed=0, Hardware='h', Commit='c')
    model = dict(
        Name='net',
        Config=str(tmp_path / 'config.py'),
        Metadata=told,
        Results=[dict(Task='t', Verify=entry)],
    )
    (tmp_path / 'metafile.yml').write_text(yaml.safe_dump(dict(Models=[model])))
    (tmp_path / 'cams').mkdir()
    (check,) = select_checks(tmp_path / 'metafile.yml')
    verify_check(check, tmp_path, options={})


CONFIGS = {
    '`config.yml` with `!!python/object/apply`': (yaml_config, 'config.yml'),
    '`config.json` based on another file': (json_config, 'config.json'),
    'a `.py` config based on such a YAML file': (yaml_base, 'config.py'),
    'metafile with `!!python/object/apply`': (yaml_metafile, 'metafile.yml'),
    'metafile whose `Config` is beside it': (config_of_a_metafile, 'config.py'),
}


@pytest.mark.parametrize('kind', CONFIGS)
def test_a_config(tmp_path, trap, kind):
    act, named = CONFIGS[kind]
    with pytest.raises(InputError, match=re.escape(named)):
        act(tmp_path, trap)


def test_yaml_traps_work(tmp_path):
    trap = tmp_path / 'sprung'
    (tmp_path / 'config.yml').write_text(evil_yaml(trap))
    yaml.unsafe_load((tmp_path / 'config.yml').read_text())
    assert trap.exists()


def test_yaml_of_plain_values_is_read(tmp_path):
    (tmp_path / 'base.yml').write_text('a: [1, {b: c}]\n')
    (tmp_path / 'config.py').write_text('_base_ = "base.yml"\n')
    assert Config.fromfile(tmp_path / 'config.py').a == [1, dict(b='c')]


def test_the_tables_are_those_of_the_page(root):
    page = (root / 'SECURITY.md').read_text()
    first = re.findall(r'^\| (.+?) \|', page, flags=re.MULTILINE)
    heads = {'route', 'file', 'config', 'config text'}
    assert set(first) - heads == {*ROUTES, *FILES, *CONFIGS}


def test_downloads_and_files_are_guarded_in_a_new_process():
    """Each of MMEngine's ways to find a checkpoint, known and to come."""
    assert {'', 'http://', 'https://'} <= set(CheckpointLoader._schemes)
    for prefix, loader in CheckpointLoader._schemes.items():
        assert prefix == '' or loader.reads_weights_only, prefix


def test_weights_of_our_own_are_read(cfg, weights, tmp_path):
    torch.save(whole(weights), tmp_path / 'w.pth')
    assert read_state_dict(tmp_path / 'w.pth').keys() == weights.keys()
    by_load_from(cfg, tmp_path / 'w.pth')
