import pytest

from cvi.tools.grounding import invented, unfit

EXAMPLES = ["Has package 4 4 1 been delivered yet?", "Is it going to rain in Madrid?", "How much is twenty dollars?"]


@pytest.mark.parametrize(
    ("arguments", "said", "names"),
    [
        ({"number": "441"}, "where is my parcel", ["number"]),
        ({"number": "441"}, "where is parcel 4 4 1", []),
        ({"number": "5509"}, "it is five five oh nine", []),
        ({"number": "A-5509"}, "it is a 5509 i think", []),
        ({"number": "55-09"}, "it is 5510", ["number"]),
        ({"number": ""}, "where is it", ["number"]),
        ({}, "where is it", ["number"]),
        ({"number": "x", "city": "Madrid"}, "will it rain tomorrow", ["city"]),
        ({"number": "x", "city": "Madrid"}, "will it rain in madrid", []),
        ({"number": "x", "city": "Oslo"}, "and over there", []),
        ({"number": "x", "to": "anna@example.com"}, "write to anna at example dot com", []),
        ({"number": "x", "to": "bob@example.com"}, "write to Bob", ["to"]),
        ({"number": "x", "time": "7:30 PM", "amount": 1200}, "at half past seven", []),
        ({"number": "x", "to": "EUR"}, "in euros", []),
        ({"number": "x", "amount": 20}, "the dollar is weak", ["amount"]),
        ({"number": "x", "amount": 20}, "twenty dollars please", []),
        ({"number": "x", "amount": 20.0}, "20 dollars please", []),
        ({"number": "x", "amount": 3, "sure": True}, "a few dollars", []),
    ],
)
def test_what_was_never_said_is_invented(arguments, said, names):
    assert invented(arguments, ["number"], said, EXAMPLES) == names


def test_what_breaks_a_rule_of_the_schema_is_named():
    schema = {"type": "object", "properties": {"people": {"type": "integer", "minimum": 1}, "name": {"type": "string"}}}
    assert unfit({"people": 0, "name": "Ada"}, schema) == ["people"]
    assert unfit({"people": 2, "name": "Ada"}, schema) == []
