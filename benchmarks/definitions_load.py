"""How long the definitions of many instruments take to load: all stages, checks, jobs, schedule and sensor.

The import of dagster is counted apart. CPU time beside wall time, because a busy machine stretches only the second.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

N_INSTRUMENTS = 1_000
N_STAGES = 5


def main(n_instruments: int = N_INSTRUMENTS) -> dict[str, float]:
    """Load the definitions once and print the table; returns the seconds."""
    imported = _seconds(_import_dagster)
    with TemporaryDirectory() as folder:
        settings = _write_instruments(Path(folder), n_instruments)
        modules = _seconds(_import_definitions)
        loaded = _seconds(lambda: _load(settings))
    print(f"definitions of {n_instruments} instruments      wall s    cpu s")
    for name, (wall, cpu) in {"import dagster": imported, "import tributary": modules, "load": loaded}.items():
        print(f"  {name:32} {wall:8.2f} {cpu:8.2f}")
    return {"import_s": imported[0], "load_s": loaded[0], "load_cpu_s": loaded[1]}


def _seconds(action: object) -> tuple[float, float]:
    assert callable(action)
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def _import_dagster() -> None:
    import dagster
    import dagster.components  # noqa: F401


def _import_definitions() -> None:
    import tributary_pipelines.definitions
    import tributary_pipelines.defs.component  # noqa: F401


def _write_instruments(folder: Path, n_instruments: int) -> Path:
    lines = [f"- {{name: market_{n}, market_id: market-{n}}}" for n in range(n_instruments)]
    (folder / "instruments.yaml").write_text("instruments:\n" + "\n".join(lines) + "\n", encoding="utf-8")
    settings = folder / "tributary.yaml"
    settings.write_text("instruments: instruments.yaml\n", encoding="utf-8")
    return settings


def _load(settings: Path) -> None:
    from tributary_pipelines.definitions import defs

    os.environ["TRIBUTARY_CONFIG"] = str(settings)
    repository = defs().get_repository_def()
    repository.load_all_definitions()
    assert len(repository.asset_graph.materializable_asset_keys) % N_STAGES == 0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_INSTRUMENTS)
