"""Training footage made by this package itself, with exact labels: good films, and films with one known
fault.

In: a stock character, a text, a seed. Out: an mp4 and beside it a .json of the same name with its `Labels`.
May import `cvi.rendering` and `cvi.training.footage`. Start reading at `film` and `faulty_film`.

    make_film(FilmPlan("june", seed=3, text=good_text()), Path("good.mp4"))
    add_fault(Path("good.mp4"), "blur", seed=1, to=Path("blur.mp4"))
"""
