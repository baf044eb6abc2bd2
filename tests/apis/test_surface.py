"""The public names of `wsss_mm.apis`: what they take, and that their help says it.

``python tests/apis/test_surface.py`` writes the file after a change made on purpose.
"""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wsss_mm
from wsss_mm import apis

SURFACE = Path(__file__).with_name('surface.txt')
NAMES = sorted(apis.__all__)


def definition(name):
    """Return the syntax tree of a public name, from the file that defines it."""
    file = Path(inspect.getsourcefile(getattr(apis, name)))
    for node in ast.parse(file.read_text(encoding='utf-8')).body:
        if getattr(node, 'name', None) == name:
            return node
    raise LookupError(f'{file} does not define {name}')


def public(node):
    """Yield the public members of a class that it defines itself."""
    for member in node.body:
        field = isinstance(member, ast.AnnAssign)
        name = member.target.id if field else getattr(member, 'name', '_')
        if not name.startswith('_') or name in ('__init__', '__call__'):
            yield member


def line(node):
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node)
    decorators = ''.join(f'@{ast.unparse(one)} ' for one in node.decorator_list)
    result = f' -> {ast.unparse(node.returns)}' if node.returns else ''
    return f'{decorators}{node.name}({ast.unparse(node.args)}){result}'


def surface():
    lines = []
    for name in NAMES:
        node = definition(name)
        if isinstance(node, ast.ClassDef):
            bases = ', '.join(ast.unparse(base) for base in node.bases)
            lines.append(f'class {name}({bases})')
            lines += [f'    {line(member)}' for member in public(node)]
        else:
            lines.append(line(node))
    return '\n'.join(lines) + '\n'


def functions():
    for name in NAMES:
        node = definition(name)
        if isinstance(node, ast.FunctionDef):
            yield name, node, ast.get_docstring(node)
        else:
            for member in node.body:
                if getattr(member, 'name', None) == '__init__':
                    yield name, member, ast.get_docstring(node)
                elif getattr(member, 'name', '_') == '__call__' or (
                    isinstance(member, ast.FunctionDef)
                    and not member.name.startswith('_')
                    and len(ast.get_docstring(member).splitlines()) > 1
                ):
                    yield f'{name}.{member.name}', member, ast.get_docstring(member)


def test_the_surface_is_the_one_on_record():
    assert surface() == SURFACE.read_text(encoding='utf-8')


def test_the_package_exports_every_verb():
    assert set(apis.__all__) | {'InputError', '__version__'} == set(wsss_mm.__all__)
    for name in apis.__all__:
        assert getattr(wsss_mm, name) is getattr(apis, name)


@pytest.mark.parametrize(
    ('name', 'node', 'text'), [pytest.param(*one, id=one[0]) for one in functions()]
)
def test_help_names_every_argument_and_the_errors(name, node, text):
    arguments = [*node.args.args, *node.args.kwonlyargs]
    names = [one.arg for one in arguments if one.arg != 'self']
    described = re.findall(r'^    (\w+): ', text, re.MULTILINE)
    assert [one for one in described if one in names] == names
    assert 'Raises:' in text


@pytest.mark.parametrize('name', NAMES)
def test_help_names_the_source(name):
    text = ast.get_docstring(definition(name))
    result = 'Attributes:' in text
    assert result or 'Reference:' in text


@pytest.mark.parametrize('name', NAMES)
def test_fields_of_a_result_are_described(name):
    node = definition(name)
    if not isinstance(node, ast.ClassDef):
        pytest.skip('a function')
    fields = [m.target.id for m in public(node) if isinstance(m, ast.AnnAssign)]
    described = re.findall(r'^    (\w+): ', ast.get_docstring(node), re.MULTILINE)
    assert [one for one in described if one in fields] == fields


def test_after_the_second_argument_all_are_named():
    for name, node, _ in functions():
        positional = [one.arg for one in node.args.args if one.arg != 'self']
        assert len(positional) <= 2, name


def test_importing_the_package_loads_no_framework():
    code = (
        'import sys, wsss_mm, wsss_mm.functional\n'
        'found = {name.split(".")[0] for name in sys.modules}\n'
        'print(sorted(found & {"mmengine", "mmcv", "mmseg", "mmpretrain"}))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]', done.stderr


if __name__ == '__main__':
    SURFACE.write_text(surface(), encoding='utf-8')
