import jax
import pytest

from jaxdl.parallel import make_mesh


def test_make_mesh_takes_all_devices():
    assert dict(make_mesh().shape) == {"data": 8, "model": 1}
    assert dict(make_mesh(model=2).shape) == {"data": 4, "model": 2}


def test_make_mesh_smaller_than_devices_takes_the_first():
    mesh = make_mesh(data=3)
    assert mesh.devices.ravel().tolist() == jax.devices()[:3]


def test_make_mesh_axes_are_auto():
    # Dropout and tensor-parallel Dense fail in an Explicit mesh, JAX's default.
    assert all(kind == jax.sharding.AxisType.Auto for kind in make_mesh().axis_types)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"data": 16}, "data=16 x model=1 needs 16 devices, there are 8"),
        ({"data": 4, "model": 4}, "data=4 x model=4 needs 16 devices, there are 8"),
        ({"model": 3}, "model=3 does not divide the 8 devices; possible sizes: 1, 2"),
        ({"data": 0}, "got data=0, model=1"),
        ({"data": 1, "model": 0}, "got data=1, model=0"),
    ],
)
def test_make_mesh_names_the_numbers(sizes, words):
    with pytest.raises(ValueError, match=words):
        make_mesh(**sizes)
