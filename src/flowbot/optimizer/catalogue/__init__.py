"""The catalogue: concrete changes to a structure, built from the kinds of nodes and the task's tools.

A small model cannot write a list of edits, but it can choose among changes in plain words. Each change is neutral about the
task: it knows types and wiring, never what the task is about. Add your own: a pattern is a function from a `Place` to changes.

    def twice(place: Place) -> Iterator[Change]:
        if isinstance(place, Call):
            edit = Ensemble(id=place.path, samples=2, how="judge")
            yield Change("twice", place.path, "Ask twice and let a model choose.", lambda _: [edit])

    Catalogue(patterns=(*PATTERNS, twice))                        # or find_pattern("twice"), of an installed package
"""
