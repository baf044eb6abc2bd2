"""Kill trainings, CAM generation and pipelines, and compare what comes of them.

`make soak` runs it; it is not part of CI. A folder is worked on by one command, which
is killed several times, at a random moment or while a file is half written, and started
again each time, until it ends. Then everything in the folder must equal what the same
command leaves without a kill, to the bit, no file may be unfinished, and no iteration
trained and no image predicted that was saved before. Ten seconds after each kill no
process may be left.
"""

import argparse
import collections
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from kinds import KINDS, Kind, write_inputs
from processes import Command

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ORPHANS_AFTER = 10.0
LONGEST = 600.0


class Soak:
    """Count kills and findings.

    Args:
        root: Folder of everything.
        kind: What is killed.
        seed: Of the moments and signals.
    """

    def __init__(self, root: Path, kind: Kind, seed: int) -> None:
        self.root = root
        self.kind = kind
        self.rng = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        self.findings: list[str] = []
        self.seconds = 0.0
        self.number = 0

    def start(self, folder: Path, variant: int) -> Command:
        """Start the command of the kind."""
        arguments = self.kind.arguments(folder, variant)
        log = folder.with_name(f'{folder.name}.log')
        return Command(arguments, log, forked=self.kind.forked)

    def make_references(self) -> None:
        """Run the command of each variant once without a kill."""
        self.references = []
        for variant in range(self.kind.variants):
            folder = self.root / f'{self.kind.name}_whole_{variant}'
            began = time.monotonic()
            status = self.start(folder, variant).wait(LONGEST)
            self.seconds = time.monotonic() - began
            if status:
                log = folder.with_name(f'{folder.name}.log').read_text()
                sys.exit(f'{self.kind.name} fails without a kill:\n{log[-2000:]}')
            self.references.append(self.kind.content(folder))
            print(
                f'{self.kind.name} {variant}: {self.seconds:.1f} s, '
                f'{len(self.references[-1])} results',
                flush=True,
            )

    def kill(self, folder: Path, variant: int, number: int) -> bool:
        """Start, kill once, and wait until nothing of it is left."""
        aimed = self.rng.random() < 0.5
        moment = time.monotonic() + self.rng.uniform(0.1, 0.9) * self.seconds
        # Of several files that are written one after the other, any.
        passed = self.rng.randrange(4)
        seen: set[str] = set()

        def due() -> bool:
            if not aimed:
                return time.monotonic() > moment
            seen.update(map(str, self.kind.unfinished(folder)))
            return len(seen) > passed

        command = self.start(folder, variant)
        if not command.kill_when(number, due, LONGEST):
            return False
        name = signal.Signals(number).name
        self.counts[f'{name} {"while writing" if aimed else "at any time"}'] += 1
        limit = time.monotonic() + ORPHANS_AFTER
        # The next start does not wait for what the kill has left.
        if self.rng.random() < 0.5:
            while (command.poll() is None or command.left()) and (
                time.monotonic() < limit
            ):
                time.sleep(0.05)
            if command.poll() is None or command.left():
                self.find(folder, f'{name}: alive after {ORPHANS_AFTER} s')
                command.end_all()
        else:
            while command.poll() is None and time.monotonic() < limit:
                time.sleep(0.01)
            self.watched.append((command, limit, name))
        return True

    def look_at_orphans(self, folder: Path) -> None:
        """Look for what kills have left, ten seconds after each."""
        for command, limit, name in self.watched:
            while command.left() and time.monotonic() < limit:
                time.sleep(0.05)
            if command.left():
                self.find(folder, f'{name}: alive after {ORPHANS_AFTER} s')
                command.end_all()

    def find(self, folder: Path, text: str) -> None:
        """Note a finding and show it."""
        self.findings.append(f'{folder.name}: {text}')
        print(f'FOUND {self.findings[-1]}', flush=True)

    def summary(self) -> str:
        """Say what was done and found so far."""
        counts = [f'{key}: {n}' for key, n in sorted(self.counts.items())]
        return ', '.join([*counts, f'findings: {len(self.findings)}'])

    def episode(self, kills: int) -> int:
        """Kill a command some times, let it end, and compare; give the kills."""
        self.number += 1
        variant = self.number % self.kind.variants
        folder = self.root / f'{self.kind.name}_{self.number}'
        self.watched: list[tuple[Command, float, str]] = []
        done = 0
        for _ in range(kills):
            before = self.kind.progress(folder)
            number = self.rng.choice(SIGNALS)
            if not self.kill(folder, variant, number):
                self.counts['ended before'] += 1
                break
            done += 1
            self.compare_progress(folder, before)
        before = self.kind.progress(folder)
        log = folder.with_name(f'{folder.name}.log')
        size = log.stat().st_size if log.is_file() else 0
        status = self.start(folder, variant).wait(LONGEST)
        if status:
            said = log.read_bytes()[size:].decode(errors='replace')
            self.find(folder, f'exit status {status}: {said[-1500:]}')
        self.compare_progress(folder, before)
        self.look_at_orphans(folder)
        self.compare(folder, variant)
        return done

    def compare_progress(self, folder: Path, before: object) -> None:
        """Look for what was done twice."""
        log = folder.with_name(f'{folder.name}.log')
        twice = self.kind.done_twice(folder, log, before)
        if twice:
            self.find(folder, f'done twice: {twice}')

    def compare(self, folder: Path, variant: int) -> None:
        """Compare with what the command leaves without a kill."""
        found, whole = self.kind.content(folder), self.references[variant]
        if found.keys() != whole.keys():
            self.find(folder, f'other files: {sorted(found.keys() ^ whole.keys())}')
        other = [
            name for name in found.keys() & whole.keys() if found[name] != whole[name]
        ]
        if other:
            self.find(folder, f'other contents: {sorted(other)[:6]}')
        unfinished = list(self.kind.unfinished(folder))
        if unfinished:
            self.find(folder, f'unfinished: {unfinished[:4]}')
        self.counts['runs compared'] += 1
        if not self.findings:
            shutil.rmtree(folder)
            folder.with_name(f'{folder.name}.log').unlink()


def main() -> int:
    """Run the soak; the exit status is 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind in KINDS:
        parser.add_argument(f'--{kind.name}', type=int, default=kind.kills)
    parser.add_argument('--a-run', type=int, default=4, help='kills before it may end')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--folder', help='kept afterwards (default: a temporary one)')
    args = parser.parse_args()
    root = Path(args.folder or tempfile.mkdtemp(prefix='wsss_soak_')).resolve()
    root.mkdir(parents=True, exist_ok=True)
    write_inputs(root)
    findings, total = [], 0
    for kind in KINDS:
        wanted, done = getattr(args, kind.name), 0
        if not wanted:
            continue
        soak = Soak(root, kind, args.seed)
        soak.make_references()
        while done < wanted:
            done += soak.episode(min(args.a_run, wanted - done))
            print(f'{kind.name}: {done} kills ({soak.summary()})', flush=True)
        findings += soak.findings
        total += done
    print(f'{total} kills, {len(findings)} findings')
    if not findings and not args.folder:
        shutil.rmtree(root)
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
