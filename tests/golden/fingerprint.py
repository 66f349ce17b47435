"""What decides the last bits of a result besides the code: processor features and versions of packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    *("numpy", "scipy", "pandas", "pyarrow", "numba", "llvmlite", "xgboost", "scikit-learn", "statsforecast"),
    *("coreforecast", "hierarchicalforecast", "deap", "holidays", "matplotlib", "pillow", "jinja2"),
)


def platform_fingerprint() -> dict[str, str]:
    """The fingerprint of this machine and environment; equal fingerprints promise equal bytes.

    Returns:
        Processor architecture, SIMD features that NumPy uses, the kernels of OpenBLAS and of numba's compiler, the C
        library (its exp and log differ by processor) and the versions of the packages that compute or draw.
    """
    import llvmlite.binding
    import numpy as np
    from threadpoolctl import threadpool_info

    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    blas = sorted({str(info.get("architecture")) for info in threadpool_info() if info["internal_api"] == "openblas"})
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "python": ".".join(platform.python_version_tuple()[:2]),
        "libc": " ".join(platform.libc_ver()),
        "simd": " ".join([*simd.get("baseline", ()), *simd.get("found", ())]),
        "openblas": " ".join(blas),
        "compiler_target": llvmlite.binding.get_host_cpu_name(),
        **{name: _version(name) for name in PACKAGES},
    }


def differences(stored: dict[str, str], found: dict[str, str]) -> list[str]:
    """One line per entry in which two fingerprints differ.

    >>> differences({"numpy": "2.2.0", "simd": "AVX2"}, {"numpy": "2.3.1", "simd": "AVX2"})
    ['numpy: stored 2.2.0, here 2.3.1']
    """
    names = dict.fromkeys([*stored, *found])
    return [
        f"{name}: stored {stored.get(name, 'absent')}, here {found.get(name, 'absent')}"
        for name in names
        if stored.get(name) != found.get(name)
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
