"""How near two names are."""

LONG_NAME = 8


def is_slip(first: str, second: str) -> bool:
    """Compare two different names: one typing error apart, or two in long names.

    An error is a letter too many, missing, wrong, or two letters swapped.
    """
    allowed = 1 if min(len(first), len(second)) < LONG_NAME else 2
    if first == second or abs(len(first) - len(second)) > allowed:
        return False
    older: list[int] = []
    old = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        row = [i]
        for j, b in enumerate(second, start=1):
            row.append(min(old[j] + 1, row[-1] + 1, old[j - 1] + (a != b)))
            if i > 1 and j > 1 and (a, b) == (second[j - 2], first[i - 2]):
                row[-1] = min(row[-1], older[j - 2] + 1)
        older, old = old, row
    return old[-1] <= allowed
