"""The logger of the library; a command decides where its messages go."""

import logging

LOGGER = logging.getLogger('wsss_mm')
