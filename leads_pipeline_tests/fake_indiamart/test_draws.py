from leads_pipeline.fake_indiamart.draws import Draws


def test_draws_are_pinned_so_that_no_python_version_changes_them() -> None:
    draws = Draws(7, "key", "day")

    assert [draws.below(1000) for _ in range(6)] == [877, 837, 465, 490, 597, 889]
    assert Draws(7, "key", "day").shuffled(list(range(8))) == [0, 1, 3, 4, 6, 2, 5, 7]


def test_parts_do_not_run_into_each_other() -> None:
    assert Draws("ab", "c").below(10**9) != Draws("a", "bc").below(10**9)


def test_weighted_draws_follow_their_weights() -> None:
    draws = Draws("weights")
    drawn = [draws.weighted((("often", 9.0), ("rarely", 1.0), ("never", 0.0))) for _ in range(5000)]

    assert 4400 < drawn.count("often") < 4600
    assert drawn.count("never") == 0


def test_distinct_numbers_are_distinct_and_refused_where_there_are_too_few() -> None:
    numbers = Draws("distinct").distinct_below(50, 50)

    assert sorted(numbers) == list(range(50))
    try:
        Draws("distinct").distinct_below(50, 51)
    except ValueError as error:
        assert "51" in str(error)
    else:
        raise AssertionError("51 different numbers below 50 were drawn")
