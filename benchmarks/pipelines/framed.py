"""What the endpoint says to the pipelines of `programs/`, which are built on frameworks, and the edges that are true of each run."""

from __future__ import annotations

from .case import Case

CASES = {
    "langchain": [
        Case(
            "lcel_rag.py:answer",
            {"question": "When must I leave if I want to be back from the island tonight?"},
            [(("keywords",), "ferry skarv last departure"), (("context only",), "Be at Mork quay before 21:40.")],
            {"retrieve": {"call[1]"}, "call[2]": {"retrieve"}, "=": {"call[2]"}},
        ),
        Case(
            "lcel_parallel.py:decide",
            {"plan": "Close the village school and run a bus."},
            [
                (("advantages",), "It saves the cost of a roof."),
                (("drawbacks",), "Small children would ride for an hour."),
                (("Weigh",), "Keep it, since an hour on a bus is too long for a child of six."),
            ],
            {"call:Weigh": {"call:advantages", "call:drawbacks"}, "=": {"call:Weigh"}},
            ("Weigh", "advantages", "drawbacks"),
        ),
        Case(
            "graph_loop.py:slogan",
            {"topic": "a bank for bees"},
            [
                (("KEEP", "Honey, honestly"), "KEEP"),
                (("KEEP",), "Cut everything after the comma that nobody reads."),
                (("Remark",), "Honey, honestly."),
                ((), "We look after your honey, your hive and your future for generations."),
            ],
            {
                "call[2]": {"call[1]"},
                "call[3]": {"call[1]", "call[2]"},
                "call[4]": {"call[3]"},
                "=": {"call[3]", "call[4]"},
            },
        ),
        Case(
            "graph_agent.py:ask",
            {"question": "How heavy are all the M6 bolts that we have?"},
            [
                (("3.9 kg",), "They weigh 3.9 kg."),
                (("412 pieces",), [("weigh", {"bay": "bay 7"})]),
                ((), [("stock", {"part": "M6 bolt"})]),
            ],
            {
                "stock": {"call[1]"},
                "call[2]": {"call[1]", "stock"},
                "weigh": {"call[2]"},
                "call[3]": {"call[1]", "stock", "call[2]", "weigh"},
                "=": {"call[3]"},
            },
        ),
        Case(
            "graph_send.py:answer",
            {"question": "What is special about the fjord?"},
            [
                (("two aspects",), "its depth\nits seals"),
                (("Join", "drop"), "Below cliffs that drop a mile, seals raise pups on the ice."),
                (("seals",), "Harbour seals raise their pups there on drifting ice."),
                (("depth",), "Its walls drop more than a mile below the surface."),
            ],
            {
                "plan": {"plan/call"},
                "note:depth/call": {"plan"},
                "note:depth": {"plan", "note:depth/call"},
                "note:seals/call": {"plan"},
                "note:seals": {"plan", "note:seals/call"},
                "join/call": {"note:depth", "note:seals"},
                "join": {"plan", "note:depth", "note:seals", "join/call"},
                "=": {"join"},
            },
            ("depth", "seals"),
        ),
    ],
    "litellm": [
        Case(
            "litellm_chain.py:process",
            {"letter": "Liebe Oma, der Garten steht voller Quitten und wir wissen nicht wohin damit."},
            [
                (
                    ("Translate",),
                    "Dear Grandma, the garden is full of quinces and we do not know where to put them all.",
                ),
                (("half",), "Grandma, far too many quinces here."),
                (("file name",), "quince harvest"),
            ],
            {
                "call:half": {"call:Translate"},
                "call:file name": {"call:Translate"},
                "=": {"call:half", "call:file name"},
            },
            ("Translate", "half", "file name"),
            (("file", "str"), ("text", "str")),
        ),
        Case(
            "litellm_jury.py:best",
            {"question": "How does one untie a wet knot?"},
            [
                (("best",), "Number 2 is best."),
                (("sailor",), "With a marlin spike and a good deal of swearing."),
                (("surgeon",), "Push both ends toward the middle until it breathes."),
                (("gardener",), "Let the sun do it and have some tea."),
            ],
            {
                **{f"voice:{who}": {f"voice:{who}/call"} for who in ("sailor", "surgeon", "gardener")},
                "call": {"voice:sailor", "voice:surgeon", "voice:gardener"},
                "=": {"voice:surgeon", "call"},
            },
            ("sailor", "surgeon", "gardener"),
        ),
        Case(
            "instructor_extract.py:handle",
            {"mail": "Hello, Per Lunde here. A branch went through my greenhouse, the glazier says 430 euros."},
            [
                (
                    ("Extract",),
                    [("Claim", {"holder": "Per Lunde", "damage": "broken greenhouse panes", "amount": 430})],
                ),
                (("decided",), "Dear Mr Lunde, we pay for your panes at once."),
            ],
            {
                "extract": {"extract/call"},
                "decide": {"extract"},
                "letter/call": {"extract", "decide"},
                "letter": {"extract", "decide", "letter/call"},
                "=": {"letter"},
            },
        ),
    ],
    "pydantic_ai": [
        Case(
            "pydantic_agent.py:invite",
            {"meeting": "Budget talk, six of us, Tuesday at nine"},
            [
                (("invitation",), "Please come to Birch on the fourth floor on Tuesday at nine."),
                (("Alder",), [("final_result", {"name": "Birch", "floor": 4})]),
                ((), [("rooms", {"people": 6})]),
            ],
            {
                "rooms": {"call[1]"},
                "call[2]": {"call[1]", "rooms"},
                "call[3]": {"call[2]"},
                "=": {"call[3]"},
            },
        ),
        Case(
            "pydantic_history.py:lesson",
            {"topic": "compound interest"},
            [
                (("flash card",), "Interest on interest: small becomes big."),
                (("example",), "Put 100 away at ten percent: a year later 110, after two 121, and so it climbs."),
                ((), "Your savings earn, and then what they earned starts to earn as well."),
            ],
            {"call[2]": {"call[1]"}, "call[3]": {"call[2]"}, "=": {"call[3]"}},
        ),
    ],
    "agents": [
        Case(
            "agents_sdk.py:reply",
            {"question": "Can I still go for a sauna after dinner?"},
            [
                (("Shorten",), "Sauna until 22:00."),
                (("towels",), "Yes, the sauna stays open until 22:00, and there are towels at the desk."),
                ((), [("hours", {"place": "sauna"})]),
            ],
            {
                "hours": {"call[1]"},
                "call[2]": {"call[1]", "hours"},
                "call[3]": {"call[2]"},
                "=": {"call[3]"},
            },
        ),
        Case(
            "smol_agent.py:answer",
            {"question": "Could a 50 metre chain reach the bottom of Lake Orn?"},
            [
                (("61 metres",), [("final_answer", {"answer": "No, it is eleven metres short."})]),
                ((), [("depth", {"lake": "Lake Orn"})]),
            ],
            {"depth": {"call[1]"}, "call[2]": {"call[1]", "depth"}, "=": {"call[2]"}},
        ),
    ],
    "dspy": [
        Case(
            "dspy_rag.py:guide",
            {"question": "May we land on the island with the old lighthouse in June?"},
            [
                (("How many legs",), '{"answer": 32}'),  # what a model is asked to see what it can do
                (("Write keywords",), "[[ ## query ## ]]\nskarv visitors\n\n[[ ## completed ## ]]"),
                (
                    ("Answer by the notes",),
                    "[[ ## reasoning ## ]]\nTerns nest there in June, so it is shut.\n\n"
                    "[[ ## answer ## ]]\nNo, wait until the birds have left.\n\n[[ ## completed ## ]]",
                ),
            ],
            {
                "plan": {"plan/call"},
                "search": {"plan"},
                "answer_predict/call": {"search"},
                "answer_predict": {"search", "answer_predict/call"},
                "=": {"answer_predict"},
            },
            model="openai/gpt-4.1",
        ),
        Case(
            "dspy_review.py:writer",
            {"topic": "the lift is out of order"},
            [
                (("How many legs",), '{"answer": 32}'),
                (
                    ("Mend the notice",),
                    "[[ ## answer ## ]]\nThe lift stands still until Friday: please take the stairs.\n\n[[ ## completed ## ]]",
                ),
                (("Say what is wrong",), "[[ ## remark ## ]]\nNobody learns for how long.\n\n[[ ## completed ## ]]"),
                (("Write a notice",), "[[ ## text ## ]]\nSorry, our lift is broken again!\n\n[[ ## completed ## ]]"),
            ],
            {
                "draft": {"draft/call"},
                "critic/call": {"draft"},
                "critic": {"draft", "critic/call"},
                "revise/call": {"draft", "critic"},
                "revise": {"draft", "critic", "revise/call"},
                "=": {"revise"},
            },
            model="openai/gpt-4.1",
        ),
    ],
}
"""By environment."""
NEEDS = {
    "langchain": ["langchain-openai>=1.7,<2", "langgraph>=1.2,<2"],
    "litellm": ["litellm>=1.110,<2", "instructor>=1.17,<2"],
    "pydantic_ai": ["pydantic-ai-slim[openai]>=2.60,<3"],
    "dspy": ["dspy>=3.4.1,<3.5"],
    "agents": ["openai-agents>=0.24,<1", "smolagents[openai]>=1.26,<2"],
}
