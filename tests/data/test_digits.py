import numpy as np
import sklearn.datasets

from jaxdl.data import load_digits


def test_load_digits_scales_scikit_learns_pixels():
    dataset = load_digits()
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    expected = np.round(pixels * 255 / 16).astype(np.uint8)
    rows = [
        (image.tobytes(), int(label))
        for split in dataset.splits.values()
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    wanted = [(x.tobytes(), int(y)) for x, y in zip(expected, labels, strict=True)]
    assert sorted(rows) == sorted(wanted) and len(rows) == 1797
    assert dataset.splits["train"].images.max() == 255
    assert dataset.image_shape == (8, 8, 1)


def test_load_digits_puts_a_fifth_of_each_class_into_test():
    splits = load_digits().splits
    train, test = (np.bincount(splits[name].labels) for name in ("train", "test"))
    np.testing.assert_array_equal(test, np.round((train + test) / 5))


def test_load_digits_is_the_same_each_time_at_any_size():
    first, second = load_digits(), load_digits(image_size=16)
    assert first.fingerprint() == load_digits().fingerprint()
    assert second.image_shape == (16, 16, 1)
    for name in ("train", "test"):
        labels = first.splits[name].labels
        np.testing.assert_array_equal(second.splits[name].labels, labels)
