"""The environment of a chatd into which a library of the build is preloaded.

    preloaded("faults/shim.so", CHATD_FAULTS=path)

From a copy: the processes are other users' when root starts it, and these cannot reach a checkout
in root's home. The loader would only say so, and go on.
"""
import os
import shutil
import tempfile


def preloaded(library, folder=None, **variables):
    folder = folder or os.environ["T"]
    path = f"{folder}/{os.path.basename(library)}"
    if not os.path.exists(path):
        source = os.path.join(os.environ.get("BUILD", ""), library)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy, open(source, "rb") as original:
            shutil.copyfileobj(original, copy)
        os.chmod(copy.name, 0o755)
        os.rename(copy.name, path)
    # A sanitizer wants to come before anything that is preloaded, and need not.
    options = (os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0").lstrip(":")
    return {"LD_PRELOAD": path, "ASAN_OPTIONS": options, **variables}
