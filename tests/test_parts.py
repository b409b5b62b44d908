"""Inside the large rooms: every part imports only what stands below it, and nothing goes round in a circle."""

import ast
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from tests.test_rooms import imported_modules

import trackmaster

PACKAGE = Path(trackmaster.__file__).parent
OWN = "the room's own modules"


@dataclass(frozen=True)
class Room:
    name: str
    floors: tuple[set[str], ...]
    """From the ground up."""

    @property
    def folder(self) -> Path:
        return PACKAGE / self.name

    @property
    def module(self) -> str:
        return f"trackmaster.{self.name}"

    @property
    def parts(self) -> set[str]:
        return set().union(*self.floors) - {OWN}

    def modules(self) -> dict[str, Path]:
        return {
            ".".join([self.module, *path.relative_to(self.folder).with_suffix("").parts]): path
            for path in self.folder.rglob("*.py")
            if path.name != "__init__.py"
        }

    def floor(self, part: str) -> int:
        return next(number for number, parts in enumerate(self.floors) if part in parts)

    def part_of(self, module: str) -> str:
        parts = module.split(".")
        return parts[2] if len(parts) > 3 else OWN

    def wrong(self, module: str, imported: set[str]) -> list[str]:
        here = self.part_of(module)
        others = {self.part_of(name) for name in imported} - {here}
        return sorted(f"{module} imports {part}" for part in others if self.floor(part) >= self.floor(here))


ROOMS = {
    room.name: room
    for room in (
        Room("rl", ({"samples"}, {"files"}, {OWN}, {"evaluation", "memory"}, {"iqn"}, {"config"}, {"continuous"})),
        Room("distributed", (
            {"wire"}, {"transport"}, {"security"}, {"link", "relay"}, {OWN}, {"config_json", "racing"},
        )),
    )
}  # fmt: skip


def neighbours(module: str, modules: dict[str, Path]) -> set[str]:
    """Modules of the room that a module imports, also where it names a package and a module in it."""
    source = modules[module].read_text(encoding="utf-8")
    named = imported_modules(source, module)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            named.update(f"{node.module}.{alias.name}" for alias in node.names)
    return named & modules.keys()


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_parts_import_downwards_only(room: Room) -> None:
    modules = room.modules()
    imported = {module: neighbours(module, modules) for module in modules}
    assert [line for module, names in imported.items() for line in room.wrong(module, names)] == []
    list(TopologicalSorter(imported).static_order())  # raises where modules import one another in a circle


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_every_part_says_what_it_is_and_does_nothing_else(room: Room) -> None:
    for part in room.parts:
        body = ast.parse((room.folder / part / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(body), part
        assert len(body.body) == 1, part
    assert {path.parent.name for path in room.folder.glob("*/__init__.py")} == room.parts


def test_the_rule_can_fail() -> None:
    room = ROOMS["distributed"]
    assert room.wrong(f"{room.module}.wire.framing", {f"{room.module}.relay.core"})
    assert room.wrong(f"{room.module}.link.client", {f"{room.module}.relay.core"})
    assert room.wrong(f"{room.module}.trainer", {f"{room.module}.racing.train"})
    assert not room.wrong(f"{room.module}.racing.train", {f"{room.module}.trainer", f"{room.module}.racing.workers"})
