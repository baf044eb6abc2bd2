"""Which keys of a config are read: by MMEngine, by registered classes, by ourselves."""

import inspect

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from wsss_mm.workflow.accepted_arguments import (
    accepted_arguments,
    arguments_of,
    names_read,
    registered,
)

# Keys that our own commands read, beside the names of steps in `refine`.
OWN_KEYS = frozenset(
    {'background', 'default_refine', 'refine', 'training_scores'}
    | {'test_pipeline', 'tta_model', 'tta_pipeline'}
)
# Keys that MMEngine reads elsewhere than in the arguments of its Runner.
ENGINE_KEYS = frozenset(
    {'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval'}
    | {'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'strategy'}
    | {'sync_bn'}
)
# Written into every dict by the grammar of configs.
GRAMMAR = frozenset({'type', '_delete_', '_scope_', '_base_', '_merge_'})
LOOP = (arguments_of(EpochBasedTrainLoop) or frozenset()) | (
    arguments_of(IterBasedTrainLoop) or frozenset()
)
LOADER = (arguments_of(DataLoader) or frozenset()) | {
    *('batch_sampler', 'dataset', 'num_batch_per_epoch', 'sampler')
}
PARAMWISE = 'optim_wrapper.paramwise_cfg'
SECTIONS: dict[str, frozenset[str]] = {
    'auto_scale_lr': frozenset({'base_batch_size', 'enable'}),
    'custom_imports': frozenset({'allow_failed_imports', 'imports'}),
    'env_cfg': frozenset({'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'}),
    'env_cfg.mp_cfg': frozenset({'mp_start_method', 'opencv_num_threads'}),
    PARAMWISE: frozenset(
        {'bias_decay_mult', 'bias_lr_mult', 'bypass_duplicate', 'custom_keys'}
        | {'dcn_offset_lr_mult', 'dwconv_decay_mult', 'flat_decay_mult'}
        | {'norm_decay_mult'}
    ),
    'randomness': frozenset({'deterministic', 'diff_rank_seed', 'seed'}),
    'train_cfg': LOOP | {'by_epoch'},
    'train_dataloader': LOADER,
    'val_dataloader': LOADER,
    'test_dataloader': LOADER,
}
# The type that MMEngine takes where a section names none.
DEFAULT_TYPES = {
    'log_processor': 'LogProcessor',
    'optim_wrapper': 'OptimWrapper',
    'test_cfg': 'TestLoop',
    'val_cfg': 'ValLoop',
}
# Dicts without a type whose keys the enclosing classes read by name.
READ_BY_OWNER = ('data_prefix', 'test_cfg', 'train_cfg')


def read_keys(cfg: Config) -> frozenset[str]:
    """List the top-level keys of a config that MMEngine or we read."""
    engine = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
    chains = (cfg.get('refine') or {}).values()
    steps = {step for chain in chains for step in chain if isinstance(step, str)}
    return engine | ENGINE_KEYS | OWN_KEYS | steps


def accepted_keys(
    cfg: Config, node: dict, place: tuple[str, ...], owners: tuple[dict, ...]
) -> frozenset[str] | None:
    """List the keys that are read of a dict in a config; ``None`` where any may be.

    Args:
        cfg: The whole config.
        node: The dict.
        place: Its keys from the top.
        owners: The dicts with a type around it, outermost first.
    """
    section = '.'.join(place)
    scope = node.get('_scope_') or cfg.get('default_scope') or 'mmseg'
    kind = node.get('type') or DEFAULT_TYPES.get(section)
    if kind is not None:
        accepted = accepted_arguments(kind, scope)
        if accepted is not None and place[-1].endswith('norm_cfg'):
            accepted |= {'requires_grad'}
        return accepted
    if section == 'optim_wrapper.paramwise_cfg' and cfg.optim_wrapper.get(
        'constructor'
    ):
        return None
    if place[:3] == ('optim_wrapper', 'paramwise_cfg', 'custom_keys'):
        return parameter_group_keys(cfg, scope) if len(place) > 3 else None
    if place[-1] in READ_BY_OWNER and owners:
        return keys_of_owner(place[-1], owners[-1], scope)
    return SECTIONS.get(section)


def parameter_group_keys(cfg: Config, scope: str) -> frozenset[str] | None:
    """List what may be set for a group of parameters."""
    optimizer = cfg.optim_wrapper.get('optimizer') or {}
    accepted = accepted_arguments(optimizer.get('type'), scope)
    return None if accepted is None else accepted | {'decay_mult', 'lr_mult'}


def keys_of_owner(section: str, owner: dict, scope: str) -> frozenset[str] | None:
    """List what a class, and the head it hands the dict to, read of a plain dict."""
    kinds = [owner['type']]
    if section != 'data_prefix':
        heads = owner.get('decode_head') or []
        heads = heads if isinstance(heads, list) else [heads]
        kinds += [head['type'] for head in heads if 'type' in head]
    targets = [found for kind in kinds for _, found in registered(kind, scope)]
    classes = [target for target in targets if isinstance(target, type)]
    return names_read(section, classes) if classes and classes == targets else None
