"""Turn CAM files and a folder of saliency maps into pseudo masks, as SeeNet does."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from wsss_mm.cli.command_line import readable_errors
from wsss_mm.datasets import SynthVOCDataset, VOCImageLabelDataset
from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.functional import saliency_mask
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.saliency_file import load_saliency
from wsss_mm.utils.errors import InputError

DATASETS = {'voc': VOCImageLabelDataset, 'synth_voc': SynthVOCDataset}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('cams', type=Path, help='cams/ that tools/gen_pseudo.py wrote')
    parser.add_argument(
        'saliency', type=Path, help='folder of 8-bit grey PNG maps of the same names'
    )
    parser.add_argument('out', type=Path, help='folder for the masks')
    parser.add_argument(
        '--list', type=Path, help='file with one image name a line (default: all CAMs)'
    )
    parser.add_argument(
        '--dataset',
        choices=list(DATASETS),
        default='voc',
        help='whose classes and colours',
    )
    parser.add_argument(
        '--threshold', type=float, default=0.3, help='smallest score of an object'
    )
    parser.add_argument(
        '--rival', type=float, default=0.7, help='attention of a second class to ignore'
    )
    parser.add_argument(
        '--floor', type=int, default=32, help='saliency, of 255, that an object needs'
    )
    return parser.parse_args(argv)


def names_of(args: argparse.Namespace) -> list[str]:
    """List the images to do."""
    if args.list is not None:
        return read_id_list(args.list)
    found = sorted(args.cams.rglob('*.npz'))
    if not found:
        raise InputError(f'no .npz file in {args.cams}; run tools/gen_pseudo.py first')
    return [path.relative_to(args.cams).with_suffix('').as_posix() for path in found]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with readable_errors():
        info = DATASETS[args.dataset].METAINFO
        names = names_of(args)
        for name in names:
            classes, maps = load_cam(
                args.cams / f'{name}.npz', num_classes=len(info['classes']) - 1
            )
            path = args.saliency / f'{name}.png'
            saliency = load_saliency(path)
            if saliency.shape != maps.shape[1:]:
                raise InputError(
                    f'{path} is {saliency.shape}, but the CAMs of {name} are '
                    f'{maps.shape[1:]}; resize it to the image'
                )
            mask = saliency_mask(
                maps,
                classes,
                saliency,
                threshold=args.threshold,
                rival=args.rival,
                floor=args.floor / 255,
            )
            save_mask(args.out / f'{name}.png', mask, info['palette'])
        print(f'wrote {len(names)} masks to {args.out}')


if __name__ == '__main__':
    main()
