"""Who may import whom, read off the syntax trees without importing anything."""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

FRAMEWORKS = {'mmengine', 'mmcv', 'mmseg', 'mmpretrain'}
MATHS = {'torch', 'numpy'}
ERRORS = 'wsss_mm.utils.errors'
LOGGING = 'wsss_mm.utils.logging'
COMPONENTS = (
    *('wsss_mm.datasets', 'wsss_mm.engine', 'wsss_mm.evaluation', 'wsss_mm.models'),
    *('wsss_mm.refinement', 'wsss_mm.visualization', 'wsss_mm.checkpoints'),
)
HEADS = 'wsss_mm.models.decode_heads'
SHARED_HEADS = {
    *('base_affinity_head', 'base_cam_head', 'base_weclip_head'),
    *('affinity_head', 'cam_head', 'erasing_branch'),
}


class Import(NamedTuple):
    """One import statement: who imports what, and whether on import of itself."""

    importer: str
    target: str
    at_module_level: bool

    def reaches(self, *packages):
        return any(
            self.target == name or self.target.startswith(f'{name}.')
            for name in packages
        )

    def is_made_by(self, *packages):
        return any(
            self.importer == name or self.importer.startswith(f'{name}.')
            for name in packages
        )


def module_name(path, root):
    parts = path.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def targets_of(node, path, root):
    """Absolute names an import statement may load; `from x import y` gives x.y."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ''
    if node.level:
        package = path.parent.relative_to(root).parts
        package = package[: len(package) - node.level + 1]
        base = '.'.join([*package, *filter(None, [base])])
    return [f'{base}.{alias.name}' for alias in node.names]


def imports_of(path, root):
    tree = ast.parse(path.read_text(encoding='utf-8'), filename=str(path))
    deferred = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for target in targets_of(node, path, root):
                yield Import(module_name(path, root), target, id(node) not in deferred)


def imports_under(root):
    return [
        statement
        for path in sorted((root / 'wsss_mm').rglob('*.py'))
        for statement in imports_of(path, root)
    ]


# --- the rules: each yields the statements that break it


def the_package_root_imports_nothing(imports):
    # Its public names are loaded when they are first asked for.
    return [i for i in imports if i.importer == 'wsss_mm' and i.at_module_level]


def maths_loads_only_torch_and_numpy(imports):
    allowed = MATHS | sys.stdlib_module_names | {'wsss_mm'}
    return [
        i
        for i in imports
        if i.is_made_by('wsss_mm.functional')
        and i.at_module_level
        and i.target.split('.')[0] not in allowed
    ]


def maths_knows_no_framework_and_no_other_part(imports):
    return [
        i
        for i in imports
        if i.is_made_by('wsss_mm.functional')
        and (
            i.reaches(*FRAMEWORKS)
            or (i.reaches('wsss_mm') and not i.reaches('wsss_mm.functional'))
        )
    ]


def files_add_no_framework(imports):
    rooms = ('wsss_mm.functional', 'wsss_mm.io', 'wsss_mm.convert')
    below = (*rooms, ERRORS, LOGGING)
    return [
        i
        for i in imports
        if i.is_made_by('wsss_mm.io', 'wsss_mm.convert')
        and (i.reaches(*FRAMEWORKS) or (i.reaches('wsss_mm') and not i.reaches(*below)))
    ]


def errors_import_nothing(imports):
    ours_or_frameworks = ('wsss_mm', *FRAMEWORKS)
    logging = [
        i for i in imports if i.is_made_by(LOGGING) and i.reaches(*ours_or_frameworks)
    ]
    return [*logging, *(i for i in imports if i.is_made_by(ERRORS))]


def components_know_no_verb_and_no_command(imports):
    # What a config registers stands below the library and the command line.
    return [
        i
        for i in imports
        if i.is_made_by(*COMPONENTS)
        and i.reaches('wsss_mm.apis', 'wsss_mm.cli', 'wsss_mm.workflow')
    ]


def verbs_know_no_command_line(imports):
    return [
        i
        for i in imports
        if not i.is_made_by('wsss_mm.cli', 'wsss_mm.__main__')
        and i.reaches('wsss_mm.cli', 'argparse')
    ]


def heads_know_no_other_head(imports):
    wrong = []
    for i in imports:
        if not i.is_made_by(HEADS) or i.importer == HEADS or not i.reaches(HEADS):
            continue
        head = i.target[len(HEADS) + 1 :].split('.')[0]
        if head not in SHARED_HEADS and f'{HEADS}.{head}' != i.importer:
            wrong.append(i)
    return wrong


def nothing_imports_tools_configs_or_tests(imports):
    return [i for i in imports if i.reaches('tools', 'configs', 'tests')]


def no_distribution_is_named(imports):
    # The modules are called mmseg, mmcv, ... under every distribution.
    return [i for i in imports if i.target.split('.')[0].startswith('onedl')]


RULES = [
    the_package_root_imports_nothing,
    maths_loads_only_torch_and_numpy,
    maths_knows_no_framework_and_no_other_part,
    files_add_no_framework,
    errors_import_nothing,
    components_know_no_verb_and_no_command,
    verbs_know_no_command_line,
    heads_know_no_other_head,
    nothing_imports_tools_configs_or_tests,
    no_distribution_is_named,
]


@pytest.fixture(scope='module')
def imports(root):
    return imports_under(root)


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, imports):
    broken = [f'{i.importer} imports {i.target}' for i in rule(imports)]
    assert not broken, '\n'.join(broken)


def test_the_tree_is_seen(imports):
    assert any(i.reaches('torch') for i in imports)
    assert any(i.is_made_by('wsss_mm.functional.confusion') for i in imports)


# --- the rules catch what they are for


@pytest.mark.parametrize(
    'path, line, rule',
    [
        ('__init__.py', 'import os', the_package_root_imports_nothing),
        ('functional/a.py', 'import scipy.sparse', maths_loads_only_torch_and_numpy),
        ('functional/a.py', 'import cv2', maths_loads_only_torch_and_numpy),
        (
            'functional/a.py',
            'def f():\n    import mmcv',
            maths_knows_no_framework_and_no_other_part,
        ),
        (
            'functional/a.py',
            'from ..registry import MODELS',
            maths_knows_no_framework_and_no_other_part,
        ),
        (
            'functional/a.py',
            'from wsss_mm import io',
            maths_knows_no_framework_and_no_other_part,
        ),
        ('io/a.py', 'from mmengine.fileio import get', files_add_no_framework),
        ('io/a.py', 'from .. import registry', files_add_no_framework),
        (
            'models/decode_heads/a.py',
            'from .seam_head import SEAMHead',
            heads_know_no_other_head,
        ),
        (
            'models/decode_heads/a.py',
            'from wsss_mm.models.decode_heads import SEAMHead',
            heads_know_no_other_head,
        ),
        (
            'engine/hooks/a.py',
            'def f():\n    from tools.train import main',
            nothing_imports_tools_configs_or_tests,
        ),
        ('registry.py', 'import onedl.mmseg', no_distribution_is_named),
        ('convert/a.py', 'import mmengine', files_add_no_framework),
        ('utils/errors.py', 'import torch', errors_import_nothing),
        (
            'models/a.py',
            'from wsss_mm.apis import refine',
            components_know_no_verb_and_no_command,
        ),
        ('apis/a.py', 'import argparse', verbs_know_no_command_line),
        (
            'workflow/a.py',
            'from wsss_mm.cli.command_line import tell',
            verbs_know_no_command_line,
        ),
    ],
)
def test_a_rule_catches_its_offence(tmp_path: Path, path, line, rule):
    file = tmp_path / 'wsss_mm' / path
    file.parent.mkdir(parents=True)
    file.write_text(line + '\n')
    assert rule(imports_under(tmp_path))


@pytest.mark.parametrize(
    'path, line',
    [
        ('functional/a.py', 'import math\nimport torch.nn.functional as F'),
        ('functional/a.py', 'from .cam import max_norm'),
        ('functional/a.py', 'def f():\n    import scipy.sparse'),
        ('io/a.py', 'from ..functional import cam_to_mask\nimport PIL'),
        ('models/decode_heads/a.py', 'from .cam_head import CAMHead'),
        ('models/decode_heads/__init__.py', 'from .seam_head import SEAMHead'),
        ('models/necks/a.py', 'from mmseg.registry import MODELS'),
    ],
)
def test_the_rules_allow_what_the_design_allows(tmp_path: Path, path, line):
    file = tmp_path / 'wsss_mm' / path
    file.parent.mkdir(parents=True)
    file.write_text(line + '\n')
    found = imports_under(tmp_path)
    assert found
    assert not any(rule(found) for rule in RULES)
