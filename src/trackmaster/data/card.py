"""The dataset card of an export: what is in it, where it comes from, and what may be done with it."""

import json
from collections.abc import Mapping
from typing import Any

from trackmaster.data.export_rows import IMAGE_MEANING, LISTS, SCALARS

_OURS = """\
All recordings are expert drives of trackmaster's own search on its own maps; every picture was drawn from them. They
are under the project's licence (MIT) and may be published.
"""
_OTHERS = """\
**Recordings belong to their drivers, and maps to their authors.** This data set is derived from replays of real
players, or of unknown origin. Do not publish it, or anything that lets the recordings be rebuilt, without the
permission of those whose drives and maps are in it. Pictures made by the game also show content of its publisher.
Delete the data of a driver or author who asks for it.

{names}
"""
_NAMES_KEPT = "Names of replay folders are in the column `replay`; they usually hold the login of the driver."
_NAMES_HIDDEN = "Names of drivers are left out: the column `replay` numbers the replays of a track."


def dataset_card(plan: Mapping[str, Any]) -> str:
    """Return the text of ``README.md`` for the content of ``export.json``."""
    splits: Mapping[str, Mapping[str, Any]] = plan["splits"]
    ours = bool(plan["is_all_ours"])
    licence = ["license: mit"] if ours else ["license: other", "license_name: recordings-of-their-drivers"]
    # JSON is YAML, and quotes whatever a name may hold.
    files = [f"  - split: {name}\n    path: data/{name}-*.parquet" for name in splits]
    front = ["---", f"pretty_name: {json.dumps(plan['name'])}", *licence, "tags:", "- trackmania", "- driving"]
    front += ["configs:", "- config_name: default", "  data_files:", *files, "---"]
    counts = [f"| {name} | {one['frames']} | {one['replays']} | {one['maps']} |" for name, one in splits.items()]
    columns = [f"| `image` | picture | {IMAGE_MEANING} |"]
    columns += [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in SCALARS.items()]
    columns += [f"| `{name}` | float32 × {length} | {meaning} |" for name, (_, length, meaning) in LISTS.items()]
    origin = _OURS if ours else _OTHERS.format(names=_NAMES_KEPT if plan["keep_names"] else _NAMES_HIDDEN)
    return "\n".join(
        [
            *front, "", f"# {_one_line(plan['name'])}", "",
            "Frames of TrackMania drives with the keys that were held and the state of the car in the same 10 ms tick, "
            "captured from replays with trackmaster.", "",
            "| split | frames | replays | maps |", "|---|---|---|---|", *counts, "",
            "Splits share no map. Rows are in the order they were driven, one replay after the other: frames of one "
            "replay are neighbours, so splitting rows at random would leak.", "",
            "## Origin and licence", "", origin,
            "## Columns", "", f"Schema version {plan['schema_version']}.", "",
            "| column | type | meaning |", "|---|---|---|", *columns, "",
            "Columns are null where the capture did not know a value.", "",
            "## Use", "", "```python", "from datasets import load_dataset", "",
            'frames = load_dataset("path/of/this/folder", split="train")', 'frames[0]["image"]', "```", "",
        ]
    )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())
