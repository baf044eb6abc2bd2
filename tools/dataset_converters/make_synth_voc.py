"""Generate SynthVOC, a small dataset in the VOC layout."""

import argparse
import sys
import time

from wsss_mm.datasets.synth_voc import write_synth_voc


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='folder to make, for example data/synth_voc')
    parser.add_argument('--train', type=int, default=600, help='images of train')
    parser.add_argument('--val', type=int, default=200, help='images of val')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--size', type=int, default=128, help='long side in pixels')
    return parser.parse_args()


def main() -> int:
    """Generate the dataset; give the exit code."""
    args = parse_args()
    start = time.time()

    def report(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f'{done}/{total} images, {time.time() - start:.0f} s', flush=True)

    try:
        out = write_synth_voc(
            args.out,
            train=args.train,
            val=args.val,
            seed=args.seed,
            size=args.size,
            report=report,
        )
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'SynthVOC is in {out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
