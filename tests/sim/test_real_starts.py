"""Race starts of real runs, nothing fitted."""

import pytest

from trackmaster.sim.validate import drive_starts, error_table


@pytest.mark.corpus
def test_real_starts_are_reproduced_to_a_millimetre(corpus_dir):
    files = sorted(p for p in corpus_dir.rglob("*") if p.suffix.lower() == ".gbx" and "eplay" in p.name)
    table = {time_ms: (runs, median, high) for time_ms, runs, median, high in error_table(drive_starts(files))}
    assert table[500][0] >= 20
    assert table[500][1] <= 0.2
    assert table[500][2] <= 1.0
    assert table[1000][0] >= 8
    assert table[1000][1] <= 0.2
    assert table[2000][1] <= 0.5
