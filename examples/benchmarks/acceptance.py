"""What suite.json says of the figures that were to be reached.

python examples/benchmarks/acceptance.py [--json docs/results/suite.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import _gains
import suite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=suite.ROOT / "docs/results/suite.json")
    results = json.loads(parser.parse_args().json.read_text())["results"]
    groups = {n: m.group for n, m in suite.methods(Path(sys.executable)).items()}
    print("\n".join(_gains.section([r for r in results if r["method"] in groups], groups)))


if __name__ == "__main__":
    main()
