import pytest
from mmengine.runner import Runner

import wsss_mm.engine  # noqa: F401
from wsss_mm.engine.hooks.dataset_meta_hook import innermost


@pytest.mark.parametrize(
    ('loop', 'augmented'),
    [('train', False), ('val', False), ('test', False), ('test', True)],
)
def test_the_network_knows_the_classes(cam_config, loop, augmented):
    cam_config.custom_hooks = [dict(type='DatasetMetaHook')]
    if augmented:
        cam_config.model = dict(cam_config.tta_model, module=cam_config.model)
        cam_config.test_dataloader.dataset.pipeline = cam_config.tta_pipeline
    runner = Runner.from_cfg(cam_config)
    network = innermost(runner.model)
    assert network.class_names == ()
    getattr(runner, loop)()
    dataset = getattr(runner, f'{loop}_dataloader').dataset
    assert network.class_names == tuple(dataset.metainfo['classes'])
    assert len(network.class_names) == network.decode_head.num_classes
