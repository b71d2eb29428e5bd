"""A room imports only from lower levels: never sideways, never upwards."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = {
    0: ("typing", "errors"),
    1: ("config", "durations", "trees", "report", "linalg", "costs"),
    2: ("losses", "metrics", "optim", "augment", "layers", "parallel"),
    3: ("models", "data", "diagnose"),
    4: ("weights", "train", "compression", "rbf", "federated"),
    5: ("recipes",),
}
LEVEL = {room: level for level, rooms in LEVELS.items() for room in rooms}
FILES = sorted((ROOT / "jaxdl").rglob("*.py"))


def imported_modules(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


def room_of(file):
    return file.relative_to(ROOT / "jaxdl").with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_layering_imports_only_from_below(file):
    room = room_of(file)
    if room == "__init__":
        assert not list(imported_modules(file))
        return
    for module in imported_modules(file):
        parts = module.split(".")
        assert parts[0] not in ("experiments", "tests"), f"{file} imports {module}"
        if parts[0] == "jaxdl" and len(parts) > 1 and parts[1] != room:
            message = f"{room} (level {LEVEL[room]}) imports {module}"
            assert LEVEL[parts[1]] < LEVEL[room], message


def test_layering_every_room_has_a_level():
    rooms = {room_of(file) for file in FILES} - {"__init__"}
    assert rooms <= set(LEVEL)


def test_layering_depth_is_at_most_two():
    assert all(len(f.relative_to(ROOT / "jaxdl").parts) <= 2 for f in FILES)
