"""What GPUs can do at best by their makers' data sheets: dense products, in 10^12 operations a second."""

PEAKS = {  # by a part of the device's name; the first that fits counts
    "H200": {"float32": 67, "tf32": 494.7, "bfloat16": 989.4},
    "H100 PCIe": {"float32": 51, "tf32": 378, "bfloat16": 756},
    "H100": {"float32": 67, "tf32": 494.7, "bfloat16": 989.4},
    "A100": {"float32": 19.5, "tf32": 156, "bfloat16": 312},
    "L40S": {"float32": 91.6, "tf32": 183, "bfloat16": 362},
    "A10G": {"float32": 31.2, "tf32": 35, "bfloat16": 70},
    "L4": {"float32": 30.3, "tf32": 60, "bfloat16": 121},
}


def peak(device_name: str, dtype: str) -> float | None:
    """Operations a second; None of a device that is not in the table."""
    found = next((rates for name, rates in PEAKS.items() if name in device_name), None)
    return found[dtype] * 1e12 if found else None
