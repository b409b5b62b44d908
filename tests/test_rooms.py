"""The house has one staircase: a room imports only rooms that stand above it."""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import trackmaster

PACKAGE = Path(trackmaster.__file__).parent
FLOORS = [
    {"allocator", "errors", "units", "config", "files", "home", "interrupts", "progress", "strict_yaml"},
    *(
        {room}
        for room in (
            "gbx", "replays", "track", "sim", "game", "env", "expert", "capture", "data", "nn", "pretrain", "rl",
            "distributed", "tmrl", "view", "experiments", "cli",
        )
    ),
]  # fmt: skip
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"torch", "numpy", "warp", "cv2", "lightning", "gymnasium"}


def imported_modules(source: str, module: str) -> set[str]:
    """Absolute names of everything a module imports, at the top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: -node.level]
                base = ".".join([*package, base] if base else package)
            found.update([base] if base != "trackmaster" else [f"trackmaster.{alias.name}" for alias in node.names])
    return found


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "trackmaster" and len(parts) > 1 else None


def wrong_imports(module: str, source: str) -> list[str]:
    here = room_of(module)
    if here is None or here in {"__main__", "__init__"}:
        return []
    floor = FLOOR_OF[here]
    rooms = {room_of(name) for name in imported_modules(source, module)} - {None, here, "__version__"}
    return sorted(f"{module} imports {room}" for room in rooms if room is not None and FLOOR_OF[room] >= max(floor, 1))


MODULES = sorted(path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_rooms_import_upwards_only(path: Path) -> None:
    module = ".".join(path.with_suffix("").parts)
    source = (PACKAGE.parent / path).read_text(encoding="utf-8")
    name = f"{module.removesuffix('.__init__')}.__init__" if path.name == "__init__.py" else module
    assert wrong_imports(name, source) == []


def test_every_room_of_the_code_is_on_the_plan() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    rooms = folders | {path.stem for path in PACKAGE.glob("*.py")}
    assert rooms - {"__init__", "__main__"} <= FLOOR_OF.keys()


def test_the_ground_floor_is_light() -> None:
    for room in FLOORS[0]:
        names = imported_modules((PACKAGE / f"{room}.py").read_text(encoding="utf-8"), f"trackmaster.{room}")
        assert {name.split(".")[0] for name in names} & HEAVY == set()


def test_the_rule_can_fail() -> None:
    assert wrong_imports("trackmaster.gbx.reader", "def f():\n    from trackmaster.rl import iqn\n")
    assert wrong_imports("trackmaster.gbx.reader", "from ..sim import world\n")
    assert wrong_imports("trackmaster.errors", "from trackmaster.rl import iqn\n")
    assert not wrong_imports("trackmaster.config", "from trackmaster.errors import ConfigError\n")
    assert not wrong_imports("trackmaster.rl.iqn.agent", "from trackmaster import gbx\n")


def first_imports(source: str, known: set[str]) -> set[str]:
    """Modules among the known ones that a module names outside of functions, for the type checker's eyes too."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found.update(parts or {node.module})
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes.extend(ast.iter_child_nodes(node))
    return found & known


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, the first again at the end; none is best."""
    known = set(sources)
    graph = {name: first_imports(source, known) - {name} for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_modules_need_each_other() -> None:
    sources = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): (PACKAGE.parent / path).read_text("utf-8")
        for path in MODULES
    }
    assert circle(sources) == []
    assert circle({"a.b": "from a import c", "a.c": "if TYPE_CHECKING:\n    from a.b import B\n"}) != []
