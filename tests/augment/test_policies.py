import collections

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import stats

from jaxdl.augment import (
    OPERATIONS,
    POLICIES,
    apply_operations,
    auto_augment,
    rand_augment,
    trivial_augment,
)
from jaxdl.augment.policies import draw_auto_augment, draw_random_operations
from jaxdl.augment.policy_tables import (
    AUTO_AUGMENT,
    NARROW,
    RANDOM_OPERATIONS,
    WIDE,
    tabulate_amounts,
)

KEY = jax.random.key
draw_pairs = jax.jit(
    draw_auto_augment, static_argnames=("num_images", "policy", "image_size")
)
draw_random = jax.jit(
    draw_random_operations,
    static_argnames=("shape", "magnitude", "reach", "image_size"),
)
SIZE = (32, 48)
LETTERS = {
    "A": "auto_contrast",
    "B": "brightness",
    "C": "color",
    "E": "equalize",
    "I": "invert",
    "K": "contrast",
    "P": "posterize",
    "R": "rotate",
    "S": "solarize",
    "X": "translate_x",
    "Y": "translate_y",
    "Z": "sharpness",
    "h": "shear_x",
    "v": "shear_y",
}
# The tables of the paper's appendix: letter, tenths of probability (t is 10), level.
PUBLISHED = {
    "cifar10": """I17K26 R72X39 Z81Z93 v58Y79 A58E92 v27P37 C43B67 Z39B79 E65E51
    K67Z65 C77X58 E37A48 Y43Z26 B96C28 S52I03 E20A60 E28E64 C99E66 A84S28 B13C70
    S45A93 Y99Y79 A92S83 E88I13 Y79A91""",
    "imagenet": """P48R69 S65A65 E88E63 P67P66 E47S24 E44R88 S63E67 P85Et2 R23S68
    E68P46 R88C40 R49E62 E07E88 I64Et8 C64Kt8 R88Ct2 C88S87 Z47I68 h65Et9 C40E63
    E47S24 S65A65 I64Et8 C64Kt8 E88E63""",
}
SIGNED = OPERATIONS[:5] + ("contrast", "color", "brightness", "sharpness")
UNREAD = ("auto_contrast", "invert", "equalize", "identity")


def parse_pair(text):
    for letter, tenths, level in (text[:3], text[3:]):
        yield LETTERS[letter], 1.0 if tenths == "t" else int(tenths) / 10, int(level)


@pytest.mark.parametrize("policy", AUTO_AUGMENT)
def test_auto_augment_has_the_published_pairs(policy):
    published = [tuple(parse_pair(text)) for text in PUBLISHED[policy].split()]
    assert len(published) == 25
    assert list(AUTO_AUGMENT[policy]) == published


def test_random_operations_are_the_fourteen_of_the_papers():
    names = {OPERATIONS[number] for number in RANDOM_OPERATIONS}
    assert names == {*LETTERS.values(), "identity"} - {"invert"}


@pytest.mark.parametrize(
    ("reach", "num_levels", "level", "expected"),
    [
        # Levels 9 of 0 to 9, 9 of 0 to 30 and 24 of 0 to 30: a shear, the shifts right
        # and down, degrees, what a factor gains, a threshold and bits.
        (NARROW, 10, 9, (0.3, 21.7523, 14.5015, 30.0, 0.9, 0.0, 4)),
        (NARROW, 31, 9, (0.09, 6.5257, 4.3505, 9.0, 0.27, 178.5, 7)),
        (WIDE, 31, 24, (0.792, 25.6, 25.6, 108.0, 0.792, 51.0, 3)),
    ],
)
def test_tabulate_amounts_gives_those_of_torchvision(
    reach, num_levels, level, expected
):
    shear, right, down, degrees, gain, threshold, bits = expected
    table = tabulate_amounts(reach, num_levels=num_levels, image_size=SIZE)
    column = dict(zip(OPERATIONS, table[:, :, level].tolist(), strict=True))
    moves = (shear, shear, right, down, degrees)
    wanted = {name: (x, -x) for name, x in zip(OPERATIONS[:5], moves, strict=True)}
    wanted |= dict.fromkeys(SIGNED[5:], (1 + gain, 1 - gain))
    wanted |= {"solarize": (threshold,) * 2, "posterize": (bits,) * 2}
    wanted |= dict.fromkeys(UNREAD, (0.0, 0.0))
    for name in OPERATIONS:
        np.testing.assert_allclose(column[name], wanted[name], atol=1e-4, err_msg=name)


def test_tabulate_amounts_takes_bits_away_in_the_steps_of_the_paper():
    table = tabulate_amounts(NARROW, num_levels=10, image_size=SIZE)
    bits = table[OPERATIONS.index("posterize"), 0]
    np.testing.assert_array_equal(bits, [8, 8, 7, 7, 6, 6, 5, 5, 4, 4])


def count_outcomes(operations, amounts):
    rows = zip(operations.tolist(), amounts.tolist(), strict=True)
    return collections.Counter(
        tuple((OPERATIONS[number], round(x, 4)) for number, x in zip(*row, strict=True))
        for row in rows
    )


def expect_outcomes(policy):
    """The probability of each outcome, written out from the pairs."""
    table = tabulate_amounts(NARROW, num_levels=10, image_size=SIZE)
    shares = collections.Counter()
    for pair in AUTO_AUGMENT[policy]:
        choices = []
        for name, probability, level in pair:
            up, down = table[OPERATIONS.index(name), :, level].tolist()
            half = probability / 2
            choices.append([(name, up, half), (name, down, half)])
            choices[-1].append(("identity", 0.0, 1 - probability))
        for first, x, share in choices[0]:
            for second, y, other in choices[1]:
                outcome = ((first, round(x, 4)), (second, round(y, 4)))
                shares[outcome] += share * other / 25
    return {outcome: share for outcome, share in shares.items() if share > 1e-12}


@pytest.mark.parametrize("policy", AUTO_AUGMENT)
def test_draw_auto_augment_gives_every_outcome_its_share(policy):
    num_images = 20_000
    draws = draw_pairs(num_images, policy=policy, image_size=SIZE, key=KEY(0))
    counts = count_outcomes(*draws)
    shares = expect_outcomes(policy)
    assert set(counts) == set(shares)
    observed = [counts[outcome] for outcome in shares]
    expected = [num_images * share for share in shares.values()]
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("magnitude", [None, 9])
def test_draw_random_operations_draws_all_alike(magnitude):
    options = {"magnitude": magnitude, "reach": WIDE, "image_size": SIZE}
    drawn = draw_random((20_000, 2), **options, key=KEY(1))
    operations, amounts = map(np.asarray, drawn)
    pairs = np.unique(operations, axis=0, return_counts=True)[1]
    assert len(pairs) == 14**2 and stats.chisquare(pairs).pvalue > 1e-3
    table = tabulate_amounts(WIDE, num_levels=31, image_size=SIZE)
    for number in RANDOM_OPERATIONS:
        levels = table[number] if magnitude is None else table[number, :, magnitude]
        values, expected = np.unique(levels, return_counts=True)
        drawn, counts = np.unique(amounts[operations == number], return_counts=True)
        np.testing.assert_array_equal(drawn, values)
        expected = expected / expected.sum() * counts.sum()
        assert len(values) == 1 or stats.chisquare(counts, expected).pvalue > 1e-4


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(
        np.random.default_rng(0).integers(0, 256, (16, 9, 7, 3), "uint8")
    )


def test_policies_apply_what_is_drawn(images):
    size, key = (9, 7), KEY(2)
    pairs = draw_pairs(16, policy="imagenet", image_size=size, key=key)
    single = draw_random((16, 1), magnitude=None, reach=WIDE, image_size=size, key=key)
    drawn = {"autoaugment_imagenet": pairs, "trivialaugment": single}
    for name, (operations, amounts) in drawn.items():
        expected = apply_operations(images, operations, amounts)
        result = POLICIES[name](images, key=key)
        assert result.dtype == jnp.uint8
        np.testing.assert_array_equal(result, expected, err_msg=name)


def test_policies_have_the_names_of_configs():
    names = ["autoaugment_cifar10", "autoaugment_imagenet"]
    assert list(POLICIES) == [*names, "randaugment", "trivialaugment"]
    for name, dataset in zip(names, AUTO_AUGMENT, strict=True):
        assert POLICIES[name].func is auto_augment
        assert POLICIES[name].keywords == {"policy": dataset}
        assert name.endswith(dataset)
    assert POLICIES["randaugment"] is rand_augment


def test_policies_draw_anew_for_every_key_and_image(images):
    same = jnp.broadcast_to(images[:1], images.shape)
    first, other = (trivial_augment(same, key=KEY(number)) for number in (0, 1))
    assert len(np.unique(first, axis=0)) > 6
    assert (first != other).any((1, 2, 3)).sum() > 6


def test_policies_hand_their_options_on(images):
    options = {"num_operations": 1, "magnitude": 30, "fill": 1}
    operations, amounts = draw_random(
        (16, 1), magnitude=30, reach=NARROW, image_size=(9, 7), key=KEY(3)
    )
    expected = apply_operations(images, operations, amounts, fill=1)
    result = rand_augment(images, **options, key=KEY(3))
    np.testing.assert_array_equal(result, expected)
    assert (result == 1).sum() > (images == 1).sum() + 20


def test_policies_take_floats_of_one_channel_in_a_larger_computation(images):
    floats = images[..., :1].astype(jnp.float32) / 255
    augment = jax.jit(lambda x, key: auto_augment(x, policy="imagenet", key=key) * 2)
    levels = auto_augment(images[..., :1], policy="imagenet", key=KEY(4))
    doubled = 2 * levels.astype(jnp.float32) / 255
    np.testing.assert_allclose(augment(floats, KEY(4)), doubled, rtol=1e-6)


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (auto_augment, {"policy": "svhn"}, "must be 'cifar10' or 'imagenet'.*'svhn'"),
        (rand_augment, {"num_operations": 0}, "num_operations must be at least 1.*0"),
        (rand_augment, {"magnitude": 31}, "magnitude must be in 0 to 30, got 31"),
        (trivial_augment, {"fill": -1}, "fill must be in 0 to 255, got -1"),
    ],
)
def test_policies_name_a_bad_option(policy, options, message, images, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        policy(images, **options, key=KEY(0))
