from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from wsss_mm.checkpoints.weights import digest_of, fitting_prefix, matching
from wsss_mm.registry import HOOKS, MODELS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.resume import start_from


@pytest.fixture
def cfg(cam_config):
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    return cam_config


@pytest.fixture
def weights(cfg):
    """The whole network's."""
    torch.manual_seed(3)
    return MODELS.build(cfg.model).state_dict()


def backbone_of(weights, prefix=''):
    inside = 'backbone.'
    return {
        prefix + key[len(inside) :]: value
        for key, value in weights.items()
        if key.startswith(inside)
    }


def pretrained(cfg, path, **more):
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(path), **more)


class TestPretrained:
    @pytest.mark.parametrize('prefix', ['', 'backbone.'])
    def test_what_fits_is_loaded(self, cfg, weights, tmp_path, prefix):
        torch.save(backbone_of(weights, prefix), tmp_path / 'w.pth')
        pretrained(
            cfg, tmp_path / 'w.pth', **(dict(prefix='backbone') if prefix else {})
        )
        cfg.train_cfg.max_iters = 0
        runner = Runner.from_cfg(cfg)
        runner.train()
        found = runner.model.backbone.state_dict()
        assert digest_of(found) == digest_of(backbone_of(weights))

    def test_a_test_does_not_look_for_them(self, cfg, tmp_path):
        """A finished network is evaluated where its first weights are gone."""
        pretrained(cfg, tmp_path / 'gone.pth', prefix='backbone.')
        for part in ('dataloader', 'cfg'):
            cfg[f'train_{part}'] = None
        cfg.optim_wrapper, cfg.param_scheduler = None, None
        assert 'mIoU' in Runner.from_cfg(cfg).test()

    @pytest.mark.parametrize('prefix', ['backbone.', 'module.encoder.'])
    def test_another_prefix_is_named(self, cfg, weights, tmp_path, prefix):
        torch.save(dict(state_dict=backbone_of(weights, prefix)), tmp_path / 'w.pth')
        pretrained(cfg, tmp_path / 'w.pth')
        with pytest.raises(
            InputError,
            match=rf'w\.pth: only 0 of \d+ .*of backbone .*prefix={prefix[:-1]}\)',
        ):
            Runner.from_cfg(cfg).train()

    def test_a_prefix_that_no_name_has(self, cfg, weights, tmp_path):
        torch.save(backbone_of(weights, 'backbone.'), tmp_path / 'w.pth')
        pretrained(cfg, tmp_path / 'w.pth', prefix='encoder')
        with pytest.raises(InputError, match=r'\(prefix encoder\).*prefix=backbone\)'):
            Runner.from_cfg(cfg).train()

    def test_another_width(self, cfg, weights, tmp_path):
        wide = {
            k: v.repeat_interleave(2, 0)
            for k, v in backbone_of(weights).items()
            if v.ndim
        }
        torch.save(wide, tmp_path / 'w.pth')
        pretrained(cfg, tmp_path / 'w.pth')
        with pytest.raises(InputError, match=r'or class count\? .* there'):
            Runner.from_cfg(cfg).train()

    def test_a_tenth_may_be_missing(self, cfg, weights, tmp_path):
        part = backbone_of(weights)
        names = [name for name in part if 'num_batches' not in name]
        for name in names[: len(names) // 10]:
            del part[name]
        torch.save(part, tmp_path / 'w.pth')
        pretrained(cfg, tmp_path / 'w.pth')
        Runner.from_cfg(cfg).train()
        del part[names[len(names) // 10]]
        torch.save(part, tmp_path / 'w.pth')
        with pytest.raises(InputError, match='tensors of backbone fit'):
            Runner.from_cfg(cfg).train()


class TestLoadFrom:
    def test_heads_may_differ(self, cfg, weights, tmp_path):
        part = {k: v for k, v in weights.items() if k.startswith('backbone.')}
        torch.save(part, tmp_path / 'w.pth')
        cfg.load_from = str(tmp_path / 'w.pth')
        Runner.from_cfg(cfg).train()

    @pytest.mark.parametrize(
        'prefix, words',
        [
            ('', r'without the prefix .backbone.: .*model\.backbone\.init_cfg'),
            ('encoder.backbone.', 'prefix=encoder.backbone'),
        ],
    )
    def test_a_backbone_under_another_name(self, cfg, weights, tmp_path, prefix, words):
        torch.save(backbone_of(weights, prefix), tmp_path / 'w.pth')
        cfg.load_from = str(tmp_path / 'w.pth')
        with pytest.raises(InputError, match=rf'w\.pth: only 0 of .*{words}'):
            Runner.from_cfg(cfg).train()

    def test_another_network(self, cfg, tmp_path):
        torch.save(dict(layer=torch.ones(1)), tmp_path / 'w.pth')
        cfg.load_from = str(tmp_path / 'w.pth')
        with pytest.raises(InputError, match=r"another network: .*'layer' there"):
            Runner.from_cfg(cfg).train()


def test_a_class_more_on_resume_is_named(cfg):
    start_from(cfg, resume=False)
    Runner.from_cfg(cfg).train()
    path = Path(cfg.work_dir, 'iter_2.pth')
    content = torch.load(path, weights_only=True)
    for name, value in content['state_dict'].items():
        if name.startswith('decode_head.'):
            content['state_dict'][name] = value[:-1]
    torch.save(content, path)
    start_from(cfg, resume=True)
    message = r'iter_2\.pth: only .* class count\? decode_head\.'
    with pytest.raises(InputError, match=message):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('share', [0, -1, 1.1, float('nan')])
def test_impossible_shares(share):
    with pytest.raises(InputError, match='least_share'):
        HOOKS.build(dict(type='mmseg.WeightsFitHook', least_share=share))


def test_counting():
    own = {
        'a.w': torch.ones(2),
        'a.num_batches_tracked': torch.ones(()),
        'b': torch.ones(1),
    }
    given = {'x.a.w': torch.ones(2), 'x.b': torch.ones(3), 'b': torch.ones(1)}
    assert matching(own, given) == 1
    assert matching(own, given, prefix='x.') == 1
    assert fitting_prefix(own, given) == ('', 1)
    given['x.b'] = torch.ones(1)
    assert fitting_prefix(own, given) == ('x.', 2)
