"""The cell that prints the list of versions of the Kaggle image it runs in.

The shipped lists are reconstructed from public sources; only the session itself knows what it has.
What the cell prints is a list that `image.load` reads.
"""

CELL = """\
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

print("# python:", platform.python_version())
print("# glibc:", platform.libc_ver()[1])
for name in ("git_commit", "build_date"):
    if Path("/etc", name).is_file():
        print(f"# {name}:", Path("/etc", name).read_text().strip())
ask = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
gpus = subprocess.run(ask, capture_output=True, text=True).stdout if shutil.which(ask[0]) else ""
print("# accelerator:", "gpu" if gpus else "cpu")
if gpus:
    import torch

    print("# capability:", min(map(float, gpus.split())))
    print("# architectures:", ",".join(torch._C._cuda_getArchFlags().split()))
found = {}
for package in metadata.distributions():  # of two, the first is the one that is imported
    found.setdefault(str(package.metadata["Name"]).lower().replace("_", "-"), package)
for name in sorted(found):
    print(f"{name}=={found[name].version}")
"""
"""A notebook cell; standard library only, and torch where there is a GPU."""

ADVICE = """\
# Run this cell in a fresh Kaggle notebook, before anything is installed, and save what it prints
# as image.txt. Then: kagglekit build --image image.txt
"""
