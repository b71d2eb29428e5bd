"""What every study leaves behind: a table, a summary, a few lines on the screen."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jaxdl.train import RunFolder, write_environment, write_json

Row = Mapping[str, Any]
"""One line of a table: numbers, text or None by column."""


def write_table(rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Writes rows as a CSV file, floats with every digit they have.

    Args:
      rows: values by column; a column that a row lacks, and None, are left empty.
      path: the file to write.

    Example:
      >>> write_table([{"layer": 1, "std": 0.5}], os.devnull)
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _columns(rows))
        writer.writeheader()
        writer.writerows(rows)


def finish_study(
    run: RunFolder,
    *,
    table: Sequence[Row],
    summary: Mapping[str, Any],
    shown: Sequence[Row] | None = None,
    title: str,
    console: Console | None = None,
) -> None:
    """Writes the table, the environment and the summary, and shows what came out.

    The summary is written last: a folder that has one holds a finished study.

    Args:
      run: the folder of the study.
      table: the rows of `table.csv`.
      summary: the results; numbers that are not finite become null.
      shown: the rows to show on the screen; all of the table by default.
      title: of the table on the screen.
      console: where to print; standard output by default.
    """
    console = console or Console()
    write_table(table, run.path / "table.csv")
    write_environment(run)
    _show_table(table if shown is None else shown, title, console)
    write_json(run.summary, _to_json(summary))
    line = f"run folder: {run.path}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _show_table(rows: Sequence[Row], title: str, console: Console) -> None:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    columns = _columns(rows)
    for column in columns:
        is_text = any(isinstance(row.get(column), str) for row in rows)
        justify = "left" if is_text else "right"
        table.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(_format(row.get(column)) for column in columns))
    console.print(table, highlight=False, markup=False)


def _format(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


def _to_json(value: Any) -> Any:
    """Plain numbers, lists and dictionaries; null for what JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
