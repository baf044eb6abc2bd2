"""A key that nothing reads is refused, and what is read passes."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

import wsss_mm.models  # noqa: F401
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_check import check_config, check_options

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(
    path.relative_to(ROOT / 'configs').as_posix()
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)
SEAM = 'configs/seam/seam_r38_voc.py'


def check(path):
    cfg = Config.fromfile(path)
    check_config(cfg, path)
    return cfg


@pytest.fixture
def write(root, tmp_path):
    """Write a config beside the shipped ones; give its path."""

    def write(text, name='mine.py'):
        path = tmp_path / name
        path.write_text(text.replace('SHIPPED', str(root / 'configs')))
        return path

    return write


@pytest.fixture(scope='module')
def seam():
    cfg = Config.fromfile(ROOT / SEAM)
    # Steps of a chain may be named, and are then looked up when the chain runs.
    cfg.refine = dict(named=['walk'])
    return cfg


class TestShippedConfigs:
    @pytest.mark.parametrize('name', SHIPPED)
    def test_they_pass_as_written_and_as_training_dumps_them(
        self, root, name, tmp_path
    ):
        cfg = check(root / 'configs' / name)
        cfg.dump(tmp_path / 'dumped.py')
        check(tmp_path / 'dumped.py')

    def test_those_of_the_readme_pass(self, root, tmp_path):
        blocks = re.findall(
            r'```python\n# configs/(\w+\.py)\n(.*?)```',
            (root / 'README.md').read_text(),
            re.DOTALL,
        )
        assert {'shelf.py', 'shelf_images.py'} <= {name for name, _ in blocks}
        for name, text in blocks:
            text = text.replace("['seam/", f"['{root}/configs/seam/")
            (tmp_path / name).write_text(text)
        for name, text in blocks:
            if '_base_ =' in text:
                check(tmp_path / name)


class TestArgumentsOfTypes:
    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            (
                'model = dict(decode_head=dict(dropout_ratoi=0.1))',
                r'model\.decode_head\.dropout_ratoi: SEAMHead .* dropout_ratio\?',
            ),
            (
                "val_evaluator = [dict(type='VOCIoUMetric', outputjson='a')]",
                r'val_evaluator\.0\.outputjson: VOCIoUMetric .* output_json\?',
            ),
            (
                'optim_wrapper = dict(optimizer=dict(lrr=1))',
                r'optim_wrapper\.optimizer\.lrr: SGD .* lr\?',
            ),
            (
                'train_dataloader = dict(batchsize=3)',
                r'train_dataloader\.batchsize: nothing reads .* batch_size\?',
            ),
            (
                'train_cfg = dict(max_iter=3)',
                r'train_cfg\.max_iter: IterBasedTrainLoop .* max_iters\?',
            ),
            (
                'train_dataloader = dict(dataset=dict(data_prefix=dict(seg_pth=1)))',
                r'data_prefix\.seg_pth: nothing reads .* seg_map_path\?',
            ),
            (
                'model = dict(test_cfg=dict(background_treshold=0.1))',
                r'model\.test_cfg\.background_treshold: .* background_threshold\?',
            ),
            (
                "refine = dict(mine=[dict(type='PAMRRefiner', iteration=3)])",
                r'refine\.mine\.0\.iteration: PAMRRefiner .* iterations\?',
            ),
        ],
    )
    def test_an_unknown_one_is_refused_with_its_place(self, write, text, message):
        path = write(f"_base_ = ['SHIPPED/seam/seam_r38_voc.py']\n{text}\n")
        with pytest.raises(InputError, match=rf'mine\.py: .*{message}'):
            check(path)

    def test_what_builders_take_passes(self, write):
        check(
            write(
                "_base_ = ['SHIPPED/seam/seam_r18_synth.py']\n"
                "model = dict(backbone=dict(norm_cfg=dict(type='BN', eps=1e-3,"
                ' requires_grad=False)))\n'
                "hook = dict(type='PseudoLabelHook', out_dir='a', priority=49)\n"
                'custom_hooks = [hook]\n'
                "optim_wrapper = dict(clip_grad=dict(max_norm=1), constructor='Mine',"
                ' paramwise_cfg=dict(layers=3))\n'
                "train_dataloader = dict(collate_fn=dict(type='default_collate'))\n"
            )
        )

    def test_grammar_and_classes_as_types(self, write):
        path = write(
            "_base_ = ['SHIPPED/seam/seam_r38_voc.py']\n"
            'import torch\n'
            'optim_wrapper = dict(optimizer=dict('
            '_delete_=True, type=torch.optim.Adam, lr=1))\n'
            "model = dict(backbone=dict(_delete_=True, _scope_='mmpretrain',"
            " type='VisionTransformer', patch_size=8))\n"
        )
        check(path)
        path.write_text(path.read_text().replace('lr=1', 'lrr=1'))
        with pytest.raises(InputError, match=r'optimizer\.lrr: Adam .* lr\?'):
            check(path)
        path.write_text(path.read_text().replace('lrr=1', 'lr=1').replace('patch', 'p'))
        with pytest.raises(InputError, match=r'p_size: VisionTransformer .*patch_size'):
            check(path)


class TestVariables:
    @pytest.mark.parametrize(
        ('line', 'message'),
        [
            ('optim_wraper = dict()', r'optim_wraper: nothing .* optim_wrapper\?'),
            ('something_else = 3', 'something_else: nothing reads this key'),
            # Base files have copied theirs already.
            ('max_iters = 3', r'max_iters: .* nothing; set train_cfg\.max_iters'),
        ],
    )
    def test_one_that_nothing_reads_is_refused(self, write, line, message):
        path = write(f"_base_ = ['SHIPPED/seam/seam_r38_voc.py']\n{line}\n")
        with pytest.raises(InputError, match=message):
            check(path)

    def test_one_that_the_file_uses_passes(self, write):
        check(
            write(
                "_base_ = ['SHIPPED/seam/seam_r38_voc.py']\n"
                'size: tuple = (64, 64)\nnumbers = dict(max_iters=3)\n'
                'train_cfg = dict(val_interval=size[0], **numbers)\n'
            )
        )

    @pytest.mark.parametrize('use', ['{{_base_.shared}}', "_base_['shared']"])
    def test_one_that_a_child_uses_passes(self, write, use):
        write('shared = 3\noffered = 4\n', 'base.py')
        text = "_base_ = ['SHIPPED/seam/seam_r38_voc.py', 'base.py']\n"
        check(write(f'{text}train_cfg = dict(max_iters={use})\n'))

    def test_a_slip_in_a_base_is_refused(self, write):
        base = write('val_evaluatr = dict()\n', 'base.py')
        path = write("_base_ = ['SHIPPED/seam/seam_r38_voc.py', 'base.py']\n")
        with pytest.raises(
            InputError, match=rf'{base}: val_evaluatr: .* val_evaluator'
        ):
            check(path)

    def test_a_slip_in_a_dumped_config_is_refused(self, root, tmp_path):
        path = tmp_path / 'dumped.py'
        cfg = Config.fromfile(root / SEAM)
        cfg.optim_wraper = dict()
        cfg.dump(path)
        with pytest.raises(InputError, match=r'optim_wraper: .* optim_wrapper\?'):
            check(path)

    def test_an_environment_variable_passes(self, write):
        text = "_base_ = ['SHIPPED/seam/seam_r38_voc.py']\n"
        check(write(text + "train_cfg = dict(max_iters={{'$WSSS_ITERS:7'}})\n"))

    def test_json_passes(self, tmp_path):
        (tmp_path / 'some.json').write_text('{"train_cfg": {"max_iters": 3}}')
        check(tmp_path / 'some.json')


class TestOptions:
    @pytest.mark.parametrize(
        'key',
        [
            'model.decode_head.dropout_ratio',
            'model.backbone.init_cfg',
            'model.data_preprocessor.preprocessor.mean',
            'train_cfg.max_iters',
            'param_scheduler.0.end',
            'train_dataloader.dataset.pipeline.2.low',
            'test_dataloader.dataset.tags',
            'test_dataloader.dataset.indices',
            'train_dataloader.dataset.data_prefix.seg_map_path',
            'test_evaluator.0.output_json',
            'auto_scale_lr.enable',
            'background.alpha',
            'walk.beta',
            'env_cfg.dist_cfg.timeout',
            'default_hooks.logger.interval',
            'optim_wrapper.clip_grad.max_norm',
            'optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mult',
            'randomness.seed',
            'work_dir',
            'train_dataloader.dataset.data_prefix.seed_scores_path',
            'tta_pipeline.2.transforms.0.0.scale_factor',
            'visualizer.vis_backends',
        ],
    )
    def test_what_is_read_passes(self, seam, key):
        check_options(seam, {key: 1})

    @pytest.mark.parametrize(
        ('key', 'nearest'),
        [
            ('model.decode_head.dropout_ratoi', r'SEAMHead .* dropout_ratio\?'),
            ('train_cfg.max_iter', r'IterBasedTrainLoop .* max_iters\?'),
            ('walk.betta', r'RandomWalkRefiner .* beta\?'),
            ('refin.x', r'did you mean refine\?'),
            ('optim_wrapper.optimizer.lrr', r'SGD .* lr\?'),
            ('optim_wrapper.optimiser.lr', r'OptimWrapper .* optimizer\?'),
            ('param_scheduler.0.ent', r'ReferencePolyLR .* end\?'),
            ('randomness.sed', r'did you mean seed\?'),
            ('auto_scale_lr.enabl', r'did you mean enable\?'),
            ('env_cfg.mp_cfg.opencv_threads', r'opencv_num_threads\?'),
            ('default_hooks.loger.interval', r'did you mean logger\?'),
            ('optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mul', r'lr_mult\?'),
            ('data_root', r'changes nothing; set test_dataloader\.dataset\.data_root'),
            ('max_iters', r'changes nothing; set train_cfg\.max_iters'),
            # It stands in the config, but no chain has a step of this name.
            ('crf.parameters', 'changes nothing'),
        ],
    )
    def test_what_nothing_reads_is_refused(self, seam, key, nearest):
        before = seam.to_dict()
        with pytest.raises(InputError, match=rf'--cfg-options .*{nearest}'):
            check_options(seam, {key: 1})
        assert seam.to_dict() == before

    def test_dicts_are_followed(self, seam):
        options = {'model': {'decode_head': {'ecr': 1}}}
        with pytest.raises(InputError, match=r'model\.decode_head\.ecr: SEAMHead'):
            check_options(seam, options)
        assert options == {'model': {'decode_head': {'ecr': 1}}}

    def test_an_argument_of_the_type_that_is_set_beside_it(self, seam):
        options = {
            'optim_wrapper.optimizer.type': 'Adam',
            'optim_wrapper.optimizer.betas': (0.9, 0.99),
        }
        check_options(seam, options)
        del options['optim_wrapper.optimizer.type']
        with pytest.raises(InputError, match='betas: SGD has no such argument'):
            check_options(seam, options)

    def test_what_does_not_fit_is_an_error_of_the_merge(self, seam):
        with pytest.raises(TypeError):
            check_options(seam, {'train_cfg.max_iters.x': 1})
        with pytest.raises(KeyError):
            check_options(seam, {'param_scheduler.7.end': 1})
