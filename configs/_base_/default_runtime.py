default_scope = 'mmseg'
custom_imports = dict(
    imports=[
        'wsss_mm.datasets',
        'wsss_mm.engine',
        'wsss_mm.evaluation',
        'wsss_mm.models',
        'wsss_mm.refinement',
    ],
    allow_failed_imports=False,
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        by_epoch=False,
        interval=2000,
        max_keep_ckpts=1,
        # A finished training also leaves <name>-<hash>.pth: the weights without
        # optimizer and log, which torch reads without executing anything.
        published_keys=['meta', 'state_dict'],
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Weights of which less than this share fits are refused; see the hook.
    weights_fit=dict(type='WeightsFitHook', least_share=0.9),
    finite=dict(type='FiniteTrainingHook'),
    random_state=dict(type='RandomStateHook'),
    # Names of the classes, for heads that work with words.
    dataset_meta=dict(type='DatasetMetaHook'),
    batch_norm=dict(type='BatchNormHook'),
    visualization=dict(type='SegVisualizationHook'),
)
vis_backends = [dict(type='LocalVisBackend')]
# Without a name, which two trainings of one process would share with its folder.
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends)
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
