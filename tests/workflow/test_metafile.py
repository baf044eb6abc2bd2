import copy

import pytest
import yaml

from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.metafile import PROVENANCE, check_trusted, read_checks

METADATA = dict(Recipe='as it is', Seed=0, Hardware='a desk', Commit='abc')
MODEL = dict(
    Name='net_a',
    Config='configs/a.py',
    Metadata=METADATA,
    Results=[
        dict(
            Task='CAM on train',
            Verify=dict(
                Predictions='cams',
                Threshold=0.2,
                Values={'mIoU': 28.6, 'mIoU_best': 30},
                Tolerance=0.1,
            ),
        ),
        dict(
            Task='segmentation',
            Metrics={'mIoU, in words': 22.5},
            Verify=dict(
                Checkpoint='segmenter',
                Config='configs/b.py',
                TTA=True,
                Values={'mIoU': 22.5},
                Tolerance=0,
            ),
        ),
        dict(Task='told only', Metrics={'mIoU': 1}),
    ],
)


@pytest.fixture
def write(tmp_path):
    def write(model, **top):
        path = tmp_path / 'metafile.yml'
        path.write_text(yaml.safe_dump(dict(Models=[model], **top)))
        return path

    return write


def test_what_is_stated_is_read(write):
    cams, segmenter = read_checks(write(MODEL, Collections=[]))['net_a']
    assert (cams.model, cams.task, cams.config) == (
        'net_a',
        'CAM on train',
        'configs/a.py',
    )
    assert cams.values == {'mIoU': 28.6, 'mIoU_best': 30.0}
    assert (cams.predictions, cams.threshold, cams.tolerance) == ('cams', 0.2, 0.1)
    assert cams.needs_curve
    assert not cams.tta
    assert (segmenter.checkpoint, segmenter.predictions) == ('segmenter', None)
    assert (segmenter.config, segmenter.tta) == ('configs/b.py', True)
    assert not segmenter.needs_curve
    assert read_checks(write(dict(Name='b', Config='c')))['b'] == []


def spoil(change):
    model = copy.deepcopy(MODEL)
    change(model, model['Results'][0], model['Results'][0]['Verify'])
    return model


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda m, r, v: m.pop('Config'), 'field Config is missing'),
        (lambda m, r, v: m.update(Colour=1), "unknown field 'Colour'"),
        (lambda m, r, v: m['Metadata'].pop('Seed'), 'needs Seed in the Metadata'),
        (lambda m, r, v: m.pop('Metadata'), ', '.join(PROVENANCE)),
        (lambda m, r, v: r.pop('Task'), 'field Task is missing'),
        (lambda m, r, v: r.update(Verified=1), "unknown field 'Verified'"),
        (lambda m, r, v: r.update(Verify=3), 'not a mapping'),
        (lambda m, r, v: v.pop('Tolerance'), 'field Tolerance is missing'),
        (lambda m, r, v: v.pop('Values'), 'field Values is missing'),
        (lambda m, r, v: v.update(Tolerence=1), "unknown field 'Tolerence'"),
        (lambda m, r, v: v.update(Tolerance=-1), 'Tolerance is -1'),
        (lambda m, r, v: v.update(Tolerance='small'), "Tolerance is 'small'"),
        (lambda m, r, v: v.update(Values={}), 'name figures out of mIoU'),
        (lambda m, r, v: v.update(Values={'IoU': 3}), 'name figures out of mIoU'),
        (lambda m, r, v: v.update(Values={'mIoU': True}), 'mIoU is True'),
        (lambda m, r, v: v.update(Checkpoint='x'), 'either Predictions or'),
        (lambda m, r, v: v.pop('Predictions'), 'either Predictions or'),
        (lambda m, r, v: v.update(TTA=True), 'TTA goes with Checkpoint'),
        (lambda m, r, v: v.update(Tolerance=float('inf')), 'Tolerance is inf'),
        (lambda m, r, v: v.update(Tolerance=float('nan')), 'Tolerance is nan'),
        (lambda m, r, v: v.update(Tolerance=100), 'Tolerance is 100'),
        (lambda m, r, v: v.update(Values={'mIoU': float('-inf')}), 'mIoU is -inf'),
        (lambda m, r, v: v.update(Threshold='high'), "Threshold is 'high'"),
        (lambda m, r, v: v.update(Threshold=1), 'Threshold is 1'),
        (lambda m, r, v: v.update(Predictions='../../etc'), 'below the work folder'),
        (lambda m, r, v: v.update(Predictions='/etc'), 'below the work folder'),
        (lambda m, r, v: v.update(Predictions=[1]), r'Predictions is \[1\]'),
        (lambda m, r, v: v.update(Config='a\nb'), 'Config is'),
        (lambda m, r, v: m.update(Results=65536), 'Results must be a list'),
        (lambda m, r, v: m.update(Metadata=True), 'Metadata is True'),
        (lambda m, r, v: r.update(Task=[]), r'Task is \[\]'),
        (lambda m, r, v: m.update(Name='a\nb'), 'Name is'),
    ],
)
def test_what_is_wrong_is_named(write, change, message):
    path = write(spoil(change))
    with pytest.raises(ValueError, match=message) as error:
        read_checks(path)
    assert str(path) in str(error.value)


def test_a_threshold_of_a_checkpoint_is_refused(write):
    model = copy.deepcopy(MODEL)
    model['Results'][1]['Verify']['Threshold'] = 0.3
    with pytest.raises(ValueError, match='Threshold goes with Predictions'):
        read_checks(write(model))


@pytest.mark.parametrize('text', ['a: [', '- 1', 'Models: 3', 'Models: [3]', 'X: 1'])
def test_files_that_are_no_metafiles(tmp_path, text):
    path = tmp_path / 'metafile.yml'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'metafile\.yml'):
        read_checks(path)
    with pytest.raises(ValueError, match='can be read'):
        read_checks(tmp_path / 'none.yml')


def test_two_models_of_one_name(tmp_path):
    path = tmp_path / 'metafile.yml'
    path.write_text(yaml.safe_dump(dict(Models=[MODEL, MODEL])))
    with pytest.raises(ValueError, match='two models are called net_a'):
        read_checks(path)


def test_all_metafiles_are_sound(root, monkeypatch):
    monkeypatch.chdir(root)
    found = [read_checks(path) for path in sorted(root.glob('configs/*/metafile.yml'))]
    assert len(found) >= 4
    for checks in found:
        for check in (check for several in checks.values() for check in several):
            cfg = load_config(check.config)
            if check.predictions:
                assert cfg.val_dataloader.dataset.data_prefix.seg_map_path
    assert any(checks[name] for checks in found for name in checks)


def test_configs_of_all_models_are_there(root):
    for path in root.glob('configs/*/metafile.yml'):
        for model in yaml.safe_load(path.read_text())['Models']:
            assert (root / model['Config']).is_file(), (path, model['Name'])


def test_figures_of_papers_and_of_others_are_numbers(root):
    """A comma in a key of a flow mapping would cut it in two."""
    for path in root.glob('configs/*/metafile.yml'):
        for model in yaml.safe_load(path.read_text())['Models']:
            known = model['Metadata']
            for figures in (
                *(known[key] for key in known if key.startswith('Published')),
                *known.get('Measured by others', ()),
            ):
                values = [figures[key] for key in figures if key != 'Source']
                assert values
                for value in values:
                    assert isinstance(value, (int, float)), (model['Name'], figures)


def test_configs_of_trusted_folders_alone(tmp_path, monkeypatch):
    ours, others = tmp_path / 'configs', tmp_path / 'configs_of_others'
    for folder in (ours, others):
        folder.mkdir()
        (folder / 'a.py').touch()
    (ours / 'link.py').symlink_to(others / 'a.py')
    monkeypatch.chdir(tmp_path)
    for path in (ours / 'a.py', 'configs/a.py', 'configs_of_others/../configs/a.py'):
        check_trusted(path, [ours])
    refused = (others / 'a.py', ours / 'link.py', 'configs/../configs_of_others/a.py')
    for path in refused:
        with pytest.raises(ValueError, match=r'a\.py|link\.py'):
            check_trusted(path, [ours])
        check_trusted(path, [ours, others])


@pytest.mark.parametrize(
    'text, match',
    [
        ('Models:\n- {Name: a, Name: b}', r':2: .* twice'),
        ('a: &a {b: 1}\nModels:\n- {<<: *a}', r':3: .* is merged'),
        ('Models:\n' + '[' * 5000, r':2: lists in too many lists'),
        ('Models:\n- Name: 2001-99-99', r'no metafile that can be read'),
        (
            'Models:\n- {Name: a, Config: c}\n- {Name: a, Config: c}',
            r':3: .*two models',
        ),
        ('#' * 2**18, 'more than the 131,072 that a metafile may have'),
        ('a: \0', 'no metafile that can be read'),
    ],
)
def test_hostile_text_is_one_line_with_its_place(tmp_path, text, match):
    path = tmp_path / 'metafile.yml'
    path.write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_checks(path)
    assert str(error.value).startswith(str(path))
    assert '\n' not in str(error.value)
