"""The strategies that come with the program keep to the contract of a rotation."""

import pytest

from crm_domain.rules.rotation import STRATEGIES
from crm_domain.testing.rotation import RotationContract


@pytest.mark.parametrize("name", STRATEGIES)
class TestBuiltIn(RotationContract):
    @pytest.fixture
    def strategy(self, name):
        return STRATEGIES[name]
