"""Pickles of plain arrays, read without the power to run anything.

The original CIFAR-10 batches are pickles. A pickle may name any function and call it,
so only the few names that rebuild a NumPy array are resolved; all others are refused
before anything runs.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.paths import show_path, show_reason
from jaxdl.errors import DataError


def load_arrays(file: Path) -> Any:
    """Reads a pickle of dicts, lists, numbers, text, bytes and NumPy arrays.

    Args:
      file: Written by Python 2 or 3.

    Returns:
      The content; text that Python 2 wrote is bytes.

    Raises:
      DataError: The file can't be read, is damaged, or names anything else.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp(), "batch")
      >>> _ = file.write_bytes(pickle.dumps({"labels": [3]}))
      >>> load_arrays(file)
      {'labels': [3]}
    """
    try:
        with open(file, "rb") as handle:
            return _ArrayUnpickler(handle, encoding="bytes").load()
    # A damaged pickle can raise nearly anything from inside the unpickler.
    except Exception as error:
        reason = show_reason(error)
        raise DataError(f"can't read pickle {show_path(file)}: {reason}") from None


def _encode_latin1(text: Any, encoding: Any) -> bytes:
    """What protocol 2 calls to store bytes; other codecs could unpack a bomb."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"refusing codec {encoding!r}")
    return text.encode("latin1")


# NumPy's own functions, by the public way to them: their modules' names have moved.
_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]
_FROM_BUFFER: Any = np.empty(1).__reduce_ex__(5)[0]

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode_latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"refusing to load {module}.{name}: only plain NumPy arrays are read"
            )
        return _ALLOWED[module, name]
