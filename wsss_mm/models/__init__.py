"""Networks: data wrappers, backbones, necks, heads, segmentors."""

from .backbones import *  # noqa: F403
from .data_preprocessors import *  # noqa: F403
from .decode_heads import *  # noqa: F403
from .necks import *  # noqa: F403
from .segmentors import *  # noqa: F403
