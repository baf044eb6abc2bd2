import copy
import json

import pytest
import torch
from mmengine.config import Config

from wsss_mm.workflow.kept_files import (
    flatten,
    network_settings,
    note_path,
    note_settings,
    remaining,
    settings_of,
)
from wsss_mm.workflow.weights import fingerprint

SETTINGS = dict(chain=[dict(type='Walk', steps=64)], sizes=(1, 2), margin=None)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'masks_rw'


def fill(folder):
    folder.mkdir()
    (folder / 'a.png').touch()


class TestClaim:
    def test_the_same_settings_may_go_on(self, folder):
        kept = copy.deepcopy(SETTINGS)
        note_settings(folder, SETTINGS, overwrite=False)
        fill(folder)
        written = note_path(folder).stat().st_mtime_ns
        note_settings(folder, SETTINGS, overwrite=False)
        assert note_path(folder).stat().st_mtime_ns == written
        assert kept == SETTINGS
        assert settings_of(folder) == json.loads(json.dumps(SETTINGS))

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(chain=[dict(type='Walk', steps=8)]), 'chain.0.steps: 64, now 8'),
            (dict(chain=[]), 'chain: nothing, now \\[\\]'),
            (dict(sizes=(1, 2, 3)), 'sizes.2: nothing, now 3'),
            (dict(margin=0.1), 'margin: None, now 0.1'),
        ],
    )
    def test_other_settings_are_refused_and_named(self, folder, change, message):
        note_settings(folder, SETTINGS, overwrite=False)
        with pytest.raises(ValueError, match=f'add --overwrite(.|\n)*{message}'):
            note_settings(folder, SETTINGS | change, overwrite=False)
        assert settings_of(folder)['margin'] is None

    def test_overwriting_notes_the_new_settings(self, folder):
        note_settings(folder, SETTINGS, overwrite=False)
        note_settings(folder, dict(SETTINGS, margin=0.1), overwrite=True)
        note_settings(folder, dict(SETTINGS, margin=0.1), overwrite=False)
        with pytest.raises(ValueError, match=r'margin: 0\.1, now None'):
            note_settings(folder, SETTINGS, overwrite=False)

    def test_files_of_other_programs_are_kept_and_said_to_be(self, folder, caplog):
        caplog.set_level('INFO', logger='wsss_mm')
        fill(folder)
        note_settings(folder, SETTINGS, overwrite=False)
        assert 'kept as it is; no masks_rw.settings.json' in caplog.text
        assert settings_of(folder) is None

    def test_a_long_list_of_differences_is_cut(self, folder):
        note_settings(folder, dict.fromkeys('abcdef', 1), overwrite=False)
        with pytest.raises(ValueError, match=r'd: 1, now 2\n  and 2 more$'):
            note_settings(folder, dict.fromkeys('abcdef', 2), overwrite=False)

    @pytest.mark.parametrize('text', ['{', '[1]'])
    def test_a_damaged_note_is_refused(self, folder, text):
        note_path(folder).write_text(text)
        with pytest.raises(ValueError, match=r'masks_rw\.settings\.json: not readable'):
            note_settings(folder, SETTINGS, overwrite=False)


def test_an_image_remains_until_it_is_in_every_folder(tmp_path, caplog):
    caplog.set_level('INFO', logger='wsss_mm')
    for name in ('a.png', 'b.png', 'a.npz', 'c.npz', 'c.txt'):
        (tmp_path / name).touch()
    names, both = ['a', 'b', 'c', 'd'], [(tmp_path, '.png'), (tmp_path, '.npz')]
    assert remaining(names, *both, overwrite=False) == [1, 2, 3]
    assert ': 1 of 4 images are done' in caplog.text
    assert remaining(names, both[0], overwrite=False) == [2, 3]
    assert remaining(names, *both, overwrite=True) == [0, 1, 2, 3]


def test_flatten_keeps_every_value():
    value = dict(a=dict(b=[1, dict(c=2)], d={}), e=[])
    assert list(flatten(value)) == [
        *(('a.b.0', 1), ('a.b.1.c', 2), ('a.d', {}), ('e', [])),
    ]


class TestFingerprint:
    def save(self, path, weights):
        torch.save(weights, path)
        return fingerprint(path)

    def test_only_the_weights_count(self, tmp_path):
        weights = {
            'a': torch.arange(6.0).view(2, 3),
            'b': torch.tensor(3),
            'c': torch.ones(2, dtype=torch.bfloat16),
        }
        found = self.save(tmp_path / 'one.pth', weights)
        turned = dict(reversed(weights.items()))
        inside = dict(state_dict=turned, meta=dict(iter=3))
        assert self.save(tmp_path / 'two.pth', inside) == found
        others = [
            dict(weights, a=weights['a'].view(3, 2)),
            dict(weights, a=weights['a'] + 1e-6),
            dict(weights, b=torch.tensor(4)),
            dict(weights, c=weights['c'].half()),
        ]
        marks = {self.save(tmp_path / 'three.pth', other) for other in others}
        assert len(marks | {found}) == 5


def test_the_threshold_is_told_apart_from_what_cams_depend_on(tmp_path):
    torch.save({'a': torch.ones(1)}, tmp_path / 'net.pth')

    def settings(threshold, wrapped):
        model = dict(type='Net', test_cfg=dict(background_threshold=threshold))
        model = dict(type='Views', module=model) if wrapped else model
        cfg = Config(
            dict(model=model, test_dataloader=dict(dataset=dict(pipeline=['x'])))
        )
        kept = copy.deepcopy(cfg.to_dict())
        found = network_settings(cfg, tmp_path / 'net.pth')
        assert cfg.to_dict() == kept
        return found['threshold'], found['cams']

    assert settings(0.2, False)[0] == 0.2
    assert settings(0.3, True)[0] == 0.3
    assert settings(0.2, True)[1] == settings(0.3, True)[1]
    assert settings(0.2, False)[1] != settings(0.2, True)[1]
