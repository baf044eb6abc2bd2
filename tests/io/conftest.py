import pytest


@pytest.fixture(scope='session')
def mutated():
    """Damage a copy of a file's bytes in one to three places."""

    def damage(data, rng, forge):
        """Change, cut out or double bytes, cut off the end, or forge something."""
        data = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            action = rng.randrange(5)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1 and len(data) > 9:
                del data[at : at + rng.randint(1, 9)]
            elif action == 2:
                data[at:at] = data[at : at + rng.randint(1, 9)]
            elif action == 3:
                forge(data, at, rng)
            else:
                del data[max(at, 1) :]
        return bytes(data)

    return damage
