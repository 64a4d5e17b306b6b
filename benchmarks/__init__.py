"""How fast it is, measured side by side with what people would otherwise pick; see docs/performance.md."""

import sys
from pathlib import Path

# The proxy that counts messages and the pooler are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
