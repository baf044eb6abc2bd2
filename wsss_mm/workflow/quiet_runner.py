"""MMEngine's runner with a quiet terminal: what it does, what is left, what is wrong.

The log file of the run still holds everything: environment, config, hooks, settings of
each parameter. The debug switch (``WSSS_DEBUG=1``) shows that on the terminal too.
"""

import logging
import re
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from wsss_mm.utils.logging import LOGGER

SHOWN = re.compile(
    r'\s*(?:'
    r'(?:Iter|Epoch)\((?:train|val|test)\)'  # progress and figures
    r'|\+[-+]+\+'  # tables of figures
    r'|tag AP:'
    r'|Saving checkpoint|The checkpoint |The best checkpoint '
    r'|resumed epoch|LR is set based on|the monitored metric'
    r')'
)
# Of the packages about themselves; nobody who trains a network can act on them.
NOT_SHOWN = re.compile(
    r'The prefix is not set in metric class'
    r'|"(?:FileClient|HardDiskBackend)" (?:will be deprecated|is the alias)'
    r'|init_weights of \w+ has been called more than once'
)


class ShownMessages(logging.Filter):
    """Let through warnings, progress, figures and where weights were saved."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a message is for the terminal."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            return NOT_SHOWN.match(text) is None
        return SHOWN.match(text) is not None


class QuietRunner(Runner):
    """A runner whose terminal is quiet and whose log file is not."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger and filter what goes to the terminal."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            terminal = not isinstance(handler, logging.FileHandler)
            if terminal and not LOGGER.isEnabledFor(logging.DEBUG):
                handler.addFilter(ShownMessages())
        return logger


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config; one that it names itself is taken as it is.

    Args:
        cfg: As MMEngine's runner reads it.
    """
    if 'runner_type' in cfg:
        from mmengine.registry import RUNNERS

        runner: Runner = RUNNERS.build(cfg)
        return runner
    return QuietRunner.from_cfg(cfg)
