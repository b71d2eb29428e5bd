"""What a run folder keeps of the data it was trained on."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from jaxdl.errors import CheckpointError
from jaxdl.train import RunFolder


@dataclass(frozen=True)
class DatasetCard:
    """What a trained network's user must know of the data; kept in the run folder.

    Attributes:
      name: of the dataset.
      class_names: by label.
      image_shape: height, width, channels.
      mean: per channel, of images in [0, 1].
      std: likewise.
      num_examples: by split.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_examples: dict[str, int]


def read_card(run: RunFolder) -> DatasetCard:
    """The dataset card of a run folder.

    Raises:
      CheckpointError: it is missing or not readable.
    """
    try:
        return TypeAdapter(DatasetCard).validate_json(run.dataset.read_bytes())
    except OSError as error:
        reason = error.strerror
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = ": ".join([*map(str, first["loc"]), first["msg"]])
    raise CheckpointError(f"{run.dataset}: unreadable ({reason})")
