"""A server either has the fixes of row-level security of 2026-11-12 or it has not."""

import pytest

from taskapp.database.patched_versions import PATCHED, is_patched


@pytest.mark.parametrize("first", PATCHED.values())
def test_the_first_version_with_the_fixes_has_them_and_the_one_before_has_not(first: int) -> None:
    assert (is_patched(first - 1), is_patched(first), is_patched(first + 1)) == (False, True, True)


@pytest.mark.parametrize("version", [140025, 140099, 90624])
def test_a_version_this_project_does_not_run_on_counts_as_unpatched(version: int) -> None:
    assert not is_patched(version)


@pytest.mark.parametrize("version", [190000, 200003])
def test_later_major_versions_have_them(version: int) -> None:
    assert is_patched(version)
