"""The command line of an experiment: CONFIG.yaml, `key=value`, `--resume`, `--help`."""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from jaxdl.config import describe_fields, load_config
from jaxdl.errors import ConfigError, JaxdlError

Schema = TypeVar("Schema")

_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line like any other mistake in a config."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized") and "=" in message:
            message += "; overrides are written key=value, without dashes"
        raise ConfigError(f"command line: {message}; --help lists what there is")


def read_command_line(
    schema: type[Schema], argv: Sequence[str], *, doc: str | None = None
) -> Schema:
    """Reads an experiment's config from its command line.

    Args:
        schema: The experiment's schema; `--resume` sets its `run.resume`, if it has
            that.
        argv: The arguments after the script's name: the YAML file, then any number of
            `key=value` overrides, and `--resume` or `--help` anywhere.
        doc: What `--help` begins with: the script's own documentation.

    Returns:
        The frozen config.

    Raises:
        ConfigError: One line for each mistake in the file or the arguments.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Experiment:
        ...     seed: int = 0
        >>> read_command_line(Experiment, ["/dev/null", "seed=3"]).seed
        3
    """
    can_resume = any(key == "run.resume" for key, *_ in describe_fields(schema))
    usage = "CONFIG.yaml [key=value ...]" + " [--resume]" * can_resume
    parser = _make_parser(schema, usage, doc=doc)
    parser.set_defaults(resume=False)
    if can_resume:
        help = "same as run.resume=true"
        parser.add_argument("--resume", action="store_true", help=help)
    arguments = parser.parse_intermixed_args(argv)
    if not arguments.words:
        parser.error("the config file is missing")
    file, *overrides = arguments.words
    if "=" in file and not os.path.exists(file):
        parser.error(f"the config file comes first, got {file!r}")
    overrides += ["run.resume=true"] * arguments.resume
    return load_config(schema, file, overrides)


def read_run_command_line(
    schema: type[Schema],
    argv: Sequence[str],
    *,
    doc: str | None = None,
    files: str | None = None,
    place: str = "RUN_FOLDER",
    read_defaults: Callable[[type, str, list[str]], list[str]] | None = None,
) -> tuple[str, list[str], Schema]:
    """Reads the command line of a script that works on a finished run's folder.

    Args:
        schema: The script's schema.
        argv: The arguments after the script's name: the run folder, then files if the
            script takes any, and `key=value` overrides in any order. A word with a
            `=` in it is an override unless there is a file of that name.
        doc: What `--help` begins with: the script's own documentation.
        files: What the files are called in `--help`; None for a script without.
        place: What the run folder is called in `--help`.
        read_defaults: Given the schema, the run folder and the overrides, returns
            overrides to put before them.

    Returns:
        The run folder, the files and the frozen config.

    Raises:
        ConfigError: One line for each mistake.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Tool:
        ...     top: int = 5
        >>> read_run_command_line(Tool, ["runs/a", "b.png", "top=1"], files="IMAGE")
        ('runs/a', ['b.png'], Tool(top=1))
    """
    usage = f"{place} {f'{files} ... ' if files else ''}[key=value ...]"
    parser = _make_parser(schema, usage, doc=doc)
    words = parser.parse_intermixed_args(argv).words
    overrides = [word for word in words if "=" in word and not os.path.exists(word)]
    folder, *rest = [word for word in words if word not in overrides] or [None]
    if folder is None:
        parser.error("the run folder is missing")
    if files and not rest:
        parser.error(f"there is no {files}")
    if rest and not files:
        parser.error(f"{rest[0]!r}: wanted key=value")
    if read_defaults is not None:
        overrides = [*read_defaults(schema, folder, overrides), *overrides]
    return folder, rest, load_config(schema, None, overrides)


def run_script(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Runs an experiment and ends the process with its exit status.

    An error written for the user (`JaxdlError`) becomes lines on stderr that begin with
    `jaxdl:`, and its own exit status; any other error keeps its traceback.

    Args:
        main: Takes the arguments after the script's name; what it returns is the exit
            status, None being 0.

    Raises:
        SystemExit: Always, with the exit status.

    Example:
        >>> run_script(lambda argv: 3)
        Traceback (most recent call last):
        SystemExit: 3
    """
    try:
        status = main(sys.argv[1:])
    except JaxdlError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"jaxdl: {line}\n")
        status = error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("jaxdl: interrupted\n")
        status = _INTERRUPTED
    sys.exit(status)


def _make_parser(schema: type, usage: str, *, doc: str | None) -> _Parser:
    parser = _Parser(
        usage=f"%(prog)s {usage}",
        description=doc,
        epilog=_list_fields(schema),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def _list_fields(schema: type) -> str:
    """Lists each field as `key=default  What it is. [type]`."""
    width = max(60, min(shutil.get_terminal_size().columns, 110))
    lines = ["fields, as key=default:"]
    for key, kind, default, doc in describe_fields(schema):
        head = f"  {key}={default}".ljust(36)
        # A head that is too long for its column keeps its line for itself.
        start = head if len(head) == 36 else f"{head}\n{' ' * 36}"
        body = textwrap.wrap(f"{doc} [{kind}]", width - 38, break_long_words=False)
        lines.append(f"{start}  " + f"\n{' ' * 38}".join(body))
    return "\n".join(lines)
