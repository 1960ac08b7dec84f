import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the stand-ins, whatever way pytest imports
sys.path.append(str(Path(__file__).parents[1] / "items"))  # small language models
