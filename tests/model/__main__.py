"""``python -m tests.model [FAULTS]``: explores the model of the protocol with so many faults, 3 by default.

Prints one JSON line for each kind of operation; ends with 1 if a promise can be broken.
"""

import json
import sys
import time

from tests.model.explorer import explore
from tests.model.protocol import Kind


def main() -> int:
    """Explore every kind."""
    faults = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    broken = 0
    for kind in Kind:
        began = time.process_time()
        found = explore(kind, faults=faults)
        broken += len(found.broken)
        line: dict[str, object] = {"kind": kind.value, "faults": faults, "worlds": found.worlds, "steps": found.steps}
        line |= {"cpu_s": round(time.process_time() - began, 1), "broken": found.broken}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
