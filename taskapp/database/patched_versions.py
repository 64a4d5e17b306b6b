"""Which servers have the fixes of row-level security that were published on 2026-11-12 (CVE-2026-120154, CVE-2026-16237)."""

PATCHED = {15: 150020, 16: 160016, 17: 170012, 18: 180007}
"""Major version: the first `server_version_num` that has them. Later major versions began with them."""


def is_patched(server_version_num: int) -> bool:
    """Say whether a server has the fixes; ``server_version_num`` is as PostgreSQL counts, 180007 for 18.7."""
    major = server_version_num // 10_000
    return major > max(PATCHED) or server_version_num >= PATCHED.get(major, max(PATCHED.values()))


def warning(server_version_num: int) -> str | None:
    """Say what a server lacks, and which version has it; None when it has the fixes."""
    if is_patched(server_version_num):
        return None
    first = PATCHED.get(server_version_num // 10_000, PATCHED[min(PATCHED)])
    return (
        f"PostgreSQL {written(server_version_num)} is without the fixes of row-level security of 2026-11-12; "
        f"{written(first)} has them"
    )


def written(server_version_num: int) -> str:
    """Write a version as people do: 18.7."""
    return f"{server_version_num // 10_000}.{server_version_num % 10_000}"
