from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import (
    STRICT,
    FieldDescription,
    changed_fields,
    describe_fields,
    dump_config,
    flatten_config,
    load_config,
    suggest,
)


@dataclass(frozen=True, config=STRICT)
class Inner:
    rate: float = Field(default=0.1, gt=0, le=1, description="Step size.")
    limit: float | None = Field(default=None, gt=0)
    kind: Literal["linear", "cubic", "square"] = "linear"
    only: Literal["one"] = "one"
    scale: Literal["measured"] | tuple[Annotated[float, Field(gt=0)], ...] = "measured"


@dataclass(frozen=True, config=STRICT)
class Schema:
    size: int
    names: tuple[str, ...] = ("a", "b: c")
    flag: bool = True
    text: str = "null"
    inner: Inner = Field(default_factory=Inner)


@dataclass(frozen=True, config=STRICT)
class Mapping:
    rules: dict[str, Literal["near", "far"]] = Field(default_factory=dict)


def test_describe_fields_writes_a_mapping_with_both_its_types():
    (field,) = describe_fields(Mapping)
    assert field.type == "mapping of text to near or far"


def test_describe_fields_gives_type_default_and_documentation():
    assert describe_fields(Schema) == [
        FieldDescription("size", "int", "required", ""),
        FieldDescription("names", "list of text", '["a", "b: c"]', ""),
        FieldDescription("flag", "true or false", "true", ""),
        FieldDescription("text", "text", '"null"', ""),
        FieldDescription("inner.rate", "float > 0, <= 1", "0.1", "Step size."),
        FieldDescription("inner.limit", "float > 0 or null", "null", ""),
        FieldDescription("inner.kind", "linear, cubic or square", '"linear"', ""),
        FieldDescription("inner.only", "one", '"one"', ""),
        FieldDescription(
            "inner.scale", "measured or list of float > 0", '"measured"', ""
        ),
    ]


def test_flatten_config_lists_values_by_dotted_key():
    assert flatten_config(Schema(size=3)) == {
        "size": 3,
        "names": ("a", "b: c"),
        "flag": True,
        "text": "null",
        "inner.rate": 0.1,
        "inner.limit": None,
        "inner.kind": "linear",
        "inner.only": "one",
        "inner.scale": "measured",
    }


def test_changed_fields_gives_old_and_new_values():
    old = Schema(size=3)
    new = Schema(size=4, inner=Inner(limit=2.0))
    assert changed_fields(old, new) == {"size": (3, 4), "inner.limit": (None, 2.0)}
    assert changed_fields(old, Schema(size=3)) == {}


def test_dump_config_writes_every_field_in_order():
    text = dump_config(Schema(size=3, inner=Inner(rate=1e-10, scale=(0.5, 1.0))))
    assert text == (
        "size: 3\n"
        "names:\n- a\n- 'b: c'\n"
        "flag: true\n"
        "text: 'null'\n"
        "inner:\n"
        "  rate: 1.0e-10\n"
        "  limit: null\n"
        "  kind: linear\n"
        "  only: one\n"
        "  scale:\n  - 0.5\n  - 1.0\n"
    )


@pytest.mark.parametrize(
    "text",
    ["1e-3", "no", "null", "~", "", "007", "1.5", "true", "a: b", "- x", "#c", "*a",
     "&a", "!t", "'", '"', "%d", "@x", "`x", " lead", "trail ", "é→猫", "=", "<<",
     ".inf"],
)  # fmt: skip
def test_dump_config_round_trips_text(text, tmp_path):
    config = Schema(size=1, text=text, names=(text, text))
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(Schema, file) == config


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("adamv", "adamw"),
        ("ADAMW", "adamw"),
        ("resnet20", "resnet20_cifar"),
        ("resnet", "resnet20_cifar"),
        ("zebra", None),
        ("", None),
    ],
)
def test_suggest_finds_the_closest_choice(word, hint):
    choices = ["adamw", "sgd", "resnet20_cifar", "resnet50"]
    assert suggest(word, choices) == (f". Did you mean {hint!r}?" if hint else "")
