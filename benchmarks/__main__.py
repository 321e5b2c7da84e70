"""Run every benchmark of this folder, or those named, and print their tables.

    python -m benchmarks [NAME ...]

Each module measures ratios within one run and has a ``main()``; absolute times depend on the machine.
"""

import importlib
import pkgutil
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    folder = str(Path(__file__).parent)
    known = sorted(module.name for module in pkgutil.iter_modules([folder]) if not module.name.startswith("_"))
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"error: no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names or known:
        print(f"\n## {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
