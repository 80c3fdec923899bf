import pyarrow as pa
import pyarrow.compute as pc
import pytest

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.stages.merge_answers import _by_day
from leads_pipeline_tests.storage.lead_tables import day_after, leads_of

OF_DAYS = [leads_of(day_after(offset), [f"{offset}{number}" for number in range(offset + 1)]) for offset in range(4)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2,), (), (3, 0), (1, 0, 2, 1, 3)])
def test_the_leads_of_each_day_are_those_of_a_plain_search(order: tuple[int, ...]) -> None:
    leads = pa.concat_tables([LEADS_ARROW_SCHEMA.empty_table(), *(OF_DAYS[place] for place in order)])
    found = _by_day(leads)
    assert sorted(found) == sorted({day_after(place) for place in order})
    for day, of_day in found.items():
        assert of_day.equals(leads.filter(pc.equal(leads["lead_date"], pa.scalar(day))))
