"""The kernels are valid CUDA as well: Warp's compiler needs no GPU to say so, and most machines have none."""

import subprocess
import sys

import pytest

COMPILE = """
import importlib
import sys

from trackmaster.sim.warp_start import wp

wp.config.optimization_level = 0  # whether it is CUDA does not depend on that, and it takes half the time
module = importlib.import_module(sys.argv[1])
wp.compile_aot_module(module, device=None, arch=80, module_dir=sys.argv[2], use_ptx=True)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="Warp brings no CUDA compiler on macOS")
@pytest.mark.parametrize("name", ["kernels_tick", "kernels_raster", "kernels_copy"])
def test_kernels_compile_for_a_gpu(name, tmp_path) -> None:
    arguments = [sys.executable, "-c", COMPILE, f"trackmaster.sim.{name}", str(tmp_path)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (ptx,) = tmp_path.glob("*.ptx")
    assert ".entry" in ptx.read_text(encoding="utf-8")
