import pytest

from wsss_mm.workflow.method import segmenter_config


class TestSegmenterConfig:
    @pytest.fixture
    def config(self, tmp_path):
        for name in ('m', 'm_deeplabv2', 'm_deeplabv1', 'm_unet', 'other_deeplabv1'):
            (tmp_path / f'{name}.py').touch()
        return tmp_path / 'm.py'

    def test_the_first_deeplab(self, config):
        assert segmenter_config(config).name == 'm_deeplabv1.py'

    def test_a_named_one(self, config):
        assert segmenter_config(str(config), 'unet').name == 'm_unet.py'

    def test_none(self, config):
        with pytest.raises(ValueError, match=r'no m_fcn\.py, the config of the second'):
            segmenter_config(config, 'fcn')
