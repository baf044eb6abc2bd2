import subprocess
import sys

import wsss_mm.functional

SCRIPT = """
import sys
from wsss_mm.functional import *
strangers = {'mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'torchvision', 'cv2', 'scipy'}
found = sorted(strangers & set(sys.modules))
sys.exit(f'imported: {found}' if found else 0)
"""


def test_the_maths_imports_no_framework(root):
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_public_name_exists_and_says_what_it_does():
    names = wsss_mm.functional.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(wsss_mm.functional, name).__doc__
