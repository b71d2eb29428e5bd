"""The small convolutional network."""

import jax.numpy as jnp
import numpy as np

from jaxdl.models import SmallCNN


def convolve(x, kernel, bias):
    """3x3, one pixel of zeros around, in float64."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = 0.0
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + height, column : column + width]
            total = total + part @ kernel[row, column]
    return total + bias


def pool(x):
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def test_small_cnn_equals_float64_numpy(draw_variables):
    model = SmallCNN(num_classes=3, widths=(2, 4))
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 1)).astype(np.float32)
    variables = draw_variables(model, jnp.asarray(images))
    params, x = variables["params"], images.astype(np.float64)
    for name in ("conv1", "conv2"):
        kernel, bias = (np.float64(params[name][k]) for k in ("kernel", "bias"))
        x = pool(np.maximum(convolve(x, kernel, bias), 0))
    wanted = x.mean((1, 2)) @ np.float64(params["head"]["kernel"])
    got = model.apply(variables, jnp.asarray(images), train=False)
    wanted += np.float64(params["head"]["bias"])
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
