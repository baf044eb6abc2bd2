"""What the folders of a run are called."""

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER

SEED_FOLDER = 'seed_scores'


def chain_name(name: str) -> str:
    """Write a chain as config keys and folders do: ``rw+crf`` is ``rw_crf``."""
    return name.replace('+', '_')


def mask_folder(chain: str) -> str:
    """Name the folder of the masks that a chain makes."""
    return MASK_FOLDER if chain == 'none' else f'{MASK_FOLDER}_{chain_name(chain)}'


def score_folder(chain: str) -> str:
    """Name the folder of the refined scores that a chain makes."""
    return f'{CAM_FOLDER}_{chain_name(chain)}'
