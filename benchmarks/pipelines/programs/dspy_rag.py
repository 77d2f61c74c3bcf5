"""DSPy: a query is written, a function searches, a chain of thought answers."""

import dspy

import flowbot as fb

NOTES = [
    "The lighthouse of Skarv was built in 1871 from basalt blocks.",
    "The harbour of Mork has nine moorings for visitors.",
    "Skarv is closed to visitors while the terns are nesting.",
]


@fb.step(kind="tool")
def search(query: str) -> list[str]:
    asked = query.lower().split()
    return [note for note in NOTES if any(word in note.lower() for word in asked)]


class Guide(dspy.Module):
    def __init__(self):
        self.plan = dspy.Predict(dspy.Signature("question -> query", "Write keywords for a search."))
        self.answer = dspy.ChainOfThought(
            dspy.Signature("notes: list[str], question -> answer", "Answer by the notes.")
        )

    def forward(self, question):
        found = search(self.plan(question=question).query)
        return self.answer(notes=found, question=question)


guide = Guide()
