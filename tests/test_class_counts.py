"""The number of classes comes from the dataset: no code knows VOC's 20 or COCO's 80."""

import ast

import pytest

PARTS = ('datasets', 'engine', 'evaluation', 'functional', 'models', 'refinement')
COUNTS = {20, 21, 80, 81}


def counts_in(text):
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value in COUNTS
    ]


@pytest.mark.parametrize('part', PARTS)
def test_no_count_is_written_out(root, part):
    files = sorted((root / 'wsss_mm' / part).rglob('*.py'))
    found = [
        f'{path.relative_to(root)}:{line}'
        for path in files
        for line in counts_in(path.read_text(encoding='utf-8'))
    ]
    assert files
    assert not found


def test_counts_are_seen():
    assert counts_in('a = 3\nf(num_classes=21)\n"""20 classes"""\nb = 20.0') == [2]
