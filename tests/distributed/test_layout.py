"""Inside ``distributed``: from what travels up to whole runs, and never back."""

import ast
from pathlib import Path

import pytest
from tests.test_rooms import imported_modules

import trackmaster.distributed

ROOM = "trackmaster.distributed"
PACKAGE = Path(trackmaster.distributed.__file__).parent
ROLES = "the roles"
FLOORS = [{"wire"}, {"transport"}, {"security"}, {"link", "relay"}, {ROLES}, {"config_json", "racing"}]
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
MODULES = {
    ".".join([ROOM, *path.relative_to(PACKAGE).with_suffix("").parts]): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def part_of(module: str) -> str:
    parts = module.split(".")
    return parts[2] if len(parts) > 3 else ROLES


def neighbours(module: str) -> set[str]:
    """Modules of the room that a module imports, also where it names a package and a module in it."""
    source = MODULES[module].read_text(encoding="utf-8")
    named = imported_modules(source, module)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            named.update(f"{node.module}.{alias.name}" for alias in node.names)
    return named & MODULES.keys()


def wrong_neighbours(module: str, imported: set[str]) -> list[str]:
    here = part_of(module)
    others = {part_of(name) for name in imported} - {here}
    return sorted(f"{module} imports {part}" for part in others if FLOOR_OF[part] >= FLOOR_OF[here])


@pytest.mark.parametrize("module", sorted(MODULES))
def test_parts_import_downwards_only(module: str) -> None:
    assert wrong_neighbours(module, neighbours(module)) == []


def test_every_part_says_what_it_is_and_does_nothing_else() -> None:
    for part in FLOOR_OF.keys() - {ROLES}:
        body = ast.parse((PACKAGE / part / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(body), part
        assert len(body.body) == 1, part
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == FLOOR_OF.keys() - {ROLES}


def test_the_rule_can_fail() -> None:
    assert wrong_neighbours(f"{ROOM}.wire.framing", {f"{ROOM}.relay.core"})
    assert wrong_neighbours(f"{ROOM}.link.client", {f"{ROOM}.relay.core"})
    assert wrong_neighbours(f"{ROOM}.trainer", {f"{ROOM}.racing.train"})
    assert not wrong_neighbours(f"{ROOM}.racing.train", {f"{ROOM}.trainer", f"{ROOM}.racing.workers"})
