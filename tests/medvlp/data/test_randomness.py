"""Keyed draws: the same for ever, and apart for every purpose and key."""

from hypothesis import given
from hypothesis import strategies as st

from medvlp.data.randomness import Purpose, keyed_generator, keyed_seed

KEYS = st.tuples(st.integers(), st.sampled_from(Purpose), st.lists(st.integers() | st.text("ab", max_size=3), max_size=3).map(tuple))


def test_the_values_never_change() -> None:
    # A run that is resumed by a later version must meet the same samples, masks and crops.
    assert keyed_seed(0, Purpose.MASKING, 3, "000000007") == 11901379683837045953
    assert keyed_generator(1, Purpose.CAPTION, 0, "000000001").integers(1000, size=4).tolist() == [946, 388, 161, 686]
    assert keyed_generator(7, Purpose.SHARD_ORDER, 2).permutation(6).tolist() == [4, 1, 5, 2, 3, 0]


@given(first=KEYS, second=KEYS)
def test_another_key_is_another_seed(first: tuple, second: tuple) -> None:
    def text(key: tuple) -> tuple:
        return key[0], key[1], tuple(map(str, key[2]))

    same = keyed_seed(first[0], first[1], *first[2]) == keyed_seed(second[0], second[1], *second[2])
    assert same == (text(first) == text(second))


def test_a_seed_has_64_bits() -> None:
    seeds = [keyed_seed(0, Purpose.MODEL, number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert all(any(seed >> bit & 1 for seed in seeds) for bit in range(64))
