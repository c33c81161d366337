"""Training footage made by the program itself, with everything about it known: good films and bad ones.

    film = make_film(FilmPlan("june", seed=3, text=GOOD_TEXT), Path("good.mp4"))
    spoil(Path("good.mp4"), "blur", seed=1, to=Path("blur.mp4"))

Beside each film lies a .json of the same name with its labels (`Labels`).
"""
