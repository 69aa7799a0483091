"""Every layer of the table, through every check."""

import pytest
from cases import CASES, NOT_IN_TABLE
from check_layer import CHECKS, check_saving

import cornu


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer(case, check):
    check(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_is_saved(case, tmp_path):
    check_saving(case, tmp_path)


def test_every_layer_stands_in_the_table():
    public = {name: getattr(cornu.layers, name) for name in cornu.layers.__all__}
    classes = {value.__name__ for value in public.values() if isinstance(value, type)}
    covered = {name for case in CASES for name in (case.layer, *case.parts)}
    assert classes - covered == NOT_IN_TABLE - {"Input"}
