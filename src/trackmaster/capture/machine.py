"""The machine a run was made on, as far as it may explain a run that does not reproduce."""

import os
import platform


def machine_profile() -> dict[str, str | int | None]:
    """Return operating system, kind of processor and number of cores; nothing that names a person or a machine."""
    return {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()}
