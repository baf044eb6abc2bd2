"""Turn CAM files and a folder of saliency maps into pseudo masks, as SeeNet does."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from wsss_mm.apis.saliency import list_cams, write_saliency_masks
from wsss_mm.cli.messages import readable_errors
from wsss_mm.datasets import SynthVOCDataset, VOCImageLabelDataset
from wsss_mm.datasets.image_files import read_id_list

DATASETS = {'voc': VOCImageLabelDataset, 'synth_voc': SynthVOCDataset}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('cams', type=Path, help='cams/ that tools/gen_pseudo.py wrote')
    add('saliency', type=Path, help='folder of 8-bit grey PNG maps of the same names')
    add('out', type=Path, help='folder for the masks')
    add('--list', type=Path, help='file with one image name a line (default: all CAMs)')
    add('--dataset', choices=list(DATASETS), default='voc', help='classes and colours')
    add('--threshold', type=float, default=0.3, help='smallest score of an object')
    second = 'attention of a second class from which a pixel is ignored'
    add('--conflict', '--rival', type=float, default=0.7, help=second)
    least = 'saliency, of 255, that an object needs'
    add('--least-saliency', '--floor', type=int, default=32, help=least)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with readable_errors():
        names = list_cams(args.cams) if args.list is None else read_id_list(args.list)
        write_saliency_masks(
            names,
            cams=args.cams,
            saliency=args.saliency,
            out=args.out,
            metainfo=DATASETS[args.dataset].METAINFO,
            threshold=args.threshold,
            conflict=args.conflict,
            least_saliency=args.least_saliency / 255,
        )
        print(f'wrote {len(names)} masks to {args.out}')


if __name__ == '__main__':
    main()
