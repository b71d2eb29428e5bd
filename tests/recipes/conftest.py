import pytest

from jaxdl.recipes.configs import ClassifierConfig


@pytest.fixture(scope="session")
def experiment_schema():
    return ClassifierConfig
