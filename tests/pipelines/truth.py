"""What the endpoint says to each pipeline of `programs/`, and the edges that are true of that run, written down by hand."""

from __future__ import annotations

from pipelines.case import Case

RAG = Case(
    "rag.py:answer",
    {"question": "Which bird finds voles from the air?"},
    [
        (("short search query",), "kestrel hunts voles over open fields\n"),
        (("passages only",), "The kestrel, which hovers above them [1]."),
    ],
    {
        "rewrite": {"rewrite/call"},
        "search": {"rewrite"},
        "respond/call": {"search"},
        "respond": {"search", "respond/call"},
        "=": {"respond"},
    },
)
REFINE = Case(
    "refine.py:describe",
    {"product": "a kettle that sings"},
    [
        (("strict editor", "Boil it and listen"), "APPROVED. Nothing to add."),
        (("strict editor",), "It never says what the tune is."),
        (("Write it again",), "Boil it and listen: the lid plays the opening of a sea shanty. Steel, two litres."),
        ((), "Water has never sounded so good. Two litres of brushed steel."),
    ],
    {
        "call[2]": {"call[1]"},
        "call[3]": {"call[1]", "call[2]"},
        "call[4]": {"call[3]"},
        "=": {"call[3]", "call[4]"},
    },
)
MAPREDUCE = Case(
    "mapreduce.py:digest",
    {
        "document": "The bakery opened in 1931 beside the canal.\n\nThe war closed it for six years, and the ovens rusted.\n\n"
        "Today a grandson sells rye loaves there on Saturdays."
    },
    [
        (("title of five words",), '"Bread Beside the Old Canal"'),
        (("Merge",), "A canal bakery, silenced by war for years, sells a family's rye again on Saturdays."),
        (("1931",), "A bakery began by the canal in the thirties."),
        (("rusted",), "War shut it down until its ovens rusted."),
        (("grandson",), "A grandson now bakes rye each Saturday."),
    ],
    {
        **{f"summarize:{mark}": {f"summarize:{mark}/call"} for mark in ("1931", "rusted", "loaves")},
        "merge/call": {f"summarize:{mark}" for mark in ("1931", "rusted", "loaves")},
        "merge": {"merge/call", *(f"summarize:{mark}" for mark in ("1931", "rusted", "loaves"))},
        "title/call": {"merge"},
        "title": {"merge", "title/call"},
        "=": {"merge", "title"},
    },
    ("1931", "rusted", "loaves"),
    (("title", "str"), ("summary", "str")),
)
ROUTER = Case(
    "router.py:handle",
    {"ticket": "It is me, Ines Okafor, again. My Lumen S2 lamp flickers since the update, and I have had enough!"},
    [
        (("Which desk",), "Technical.\n"),
        (("JSON",), '{"customer": "Ines Okafor", "product": "Lumen S2", "mood": "angry"}'),
        (("engineering",), "We are sorry. Please send us the lamp's log from the last day."),
    ],
    {
        "facts": {"facts/call"},
        "classify": {"classify/call"},
        "technical_reply/call": {"facts"},
        "technical_reply": {"facts", "classify", "technical_reply/call"},
        "=": {"technical_reply"},
    },
)
REACT = Case(
    "react.py:trip",
    {"request": "Get me from Bergen to Trondheim, and tell me what it costs."},
    [
        (("389",), "Go by way of Oslo for 888 kroner in all."),
        (("legs",), [("fare", {"start": "Bergen", "goal": "Oslo"}), ("fare", {"start": "Oslo", "goal": "Trondheim"})]),
        ((), [("find_route", {"start": "Bergen", "goal": "Trondheim"})]),
    ],
    {
        "find_route": {"call[1]"},
        "call[2]": {"call[1]", "find_route"},
        "fare:Bergen": {"call[2]"},
        "fare:Trondheim": {"call[2]"},
        "call[3]": {"call[1]", "find_route", "call[2]", "fare:Bergen", "fare:Trondheim"},
        "=": {"call[3]"},
    },
    ("Bergen", "Trondheim"),
)
INVOICE = Case(
    "invoice.py:process",
    {"order_text": "Hi! Three of the walnut bowls (18 each) and one oak tray for 42.50, please. Best, Tom"},
    [
        (("NAME x COUNT",), "walnut bowl x 3 @ 18\noak tray x 1 @ 42.50"),
        (("friendly mail",), "Dear Tom, your bowls and your tray are on their way, 96.50 in all."),
    ],
    {
        "read": {"read/call"},
        "total": {"read"},
        "confirm/call": {"read", "total"},
        "confirm": {"read", "total", "confirm/call"},
        "=": {"confirm"},
    },
)
ANGLES = ("algebra", "a drawing", "a table", "small cases")
VOTES = Case(
    "votes.py:solved",
    {"puzzle": "A snail climbs a wall of ten metres, three by day, and slips two by night. On which day is it up?"},
    [
        (("Explain",), "On the last day it is up before the night comes."),
        (("a drawing",), "Three up, two down, one a day. Answer: 10"),
        (("algebra",), "After seven nights it sits at seven, so: Answer: 8"),
        (("a table",), "Day by day I get there. Answer: 8"),
        (("small cases",), "A wall of four takes two. Answer: 8"),
    ],
    {
        **{f"solve:{angle}": {f"solve:{angle}/call"} for angle in ANGLES},
        "majority": {f"solve:{angle}" for angle in ANGLES},
        "explain/call": {"majority"},
        "explain": {"majority", "explain/call"},
        "=": {"majority", "explain"},
    },
    ANGLES,
    (("result", "str"), ("why", "str")),
)
STORY = Case(
    "story.py:tell",
    {"idea": "A lighthouse keeper who is afraid of the dark."},
    [
        (("numbered list",), "1. The lamp fails on a calm night\n2. A boat calls from the fog\n3. He carries a candle down the stairs"),
        (("carries a candle",), "Step by step the dark made room for him. At the bottom stood a child who was more afraid than he was."),
        (("calls from the fog",), "A voice came thin over the water, and then the knocking of wood on rock. He counted the stairs he would have to go down."),
        (("lamp fails",), "The great lamp sighed and went out while he was mending a sock. He sat quite still and listened to his own heart."),
    ],
    {
        "outline": {"outline/call"},
        "chapter[1]/call": {"outline"},
        "chapter[1]": {"outline", "chapter[1]/call"},
        "chapter[2]/call": {"outline", "chapter[1]"},
        "chapter[2]": {"outline", "chapter[1]", "chapter[2]/call"},
        "chapter[3]/call": {"outline", "chapter[2]"},
        "chapter[3]": {"outline", "chapter[2]", "chapter[3]/call"},
        "=": {"chapter[1]", "chapter[2]", "chapter[3]"},
    },
)  # fmt: skip
SUPPORT = Case(
    "support.py:help_customer",
    {"message": "Where is my parcel A-1042? I need it for Sunday's wedding."},
    [
        (("order number",), 'Here it is: {"order": "A-1042", "wants": "to know whether the parcel comes in time"}'),
        (("promise anything",), "Yes, it promises delivery by Friday."),
        (("kindly",), "Good news: your parcel will leave customs and be with you by Friday."),
    ],
    {
        "triage": {"triage/call"},
        "lookup": {"triage"},
        "draft/call": {"lookup", "triage/call"},
        "draft": {"lookup", "draft/call"},
        "safe/call": {"draft", "lookup"},
        "safe": {"draft", "lookup", "safe/call"},
        "plain": {"lookup", "safe"},
        "=": {"plain"},
    },
)
RESEARCH = Case(
    "research.py:investigate",
    {"question": "Why is high water later each day?"},
    [
        (("JSON list",), '["tide tables", "moon orbit"]'),
        (("Score", "turns with us"), "8"),
        (("Score",), "4"),
        (("too weak",), "Because the moon turns with us, high water lags fifty minutes a day behind it."),
        (("Write the answer",), "It simply does."),
    ],
    {
        "plan": {"plan/call"},
        "gather_notes/look_up:tide": {"plan"},
        "gather_notes/look_up:moon": {"plan"},
        "gather_notes": {"plan", "gather_notes/look_up:tide", "gather_notes/look_up:moon"},
        "write[1]/call": {"gather_notes"},
        "write[1]": {"plan", "gather_notes", "write[1]/call"},
        "check[1]/call": {"write[1]"},
        "check[1]": {"plan", "gather_notes", "write[1]", "check[1]/call"},
        "write[2]/call": {"gather_notes", "write[1]"},
        "write[2]": {"plan", "gather_notes", "write[1]", "check[1]", "write[2]/call"},
        "check[2]/call": {"write[2]"},
        "check[2]": {"plan", "gather_notes", "write[2]", "check[2]/call"},
        "=": {"write[2]", "check[2]"},
    },
    ("tide", "moon"),
)
CASES = [RAG, REFINE, MAPREDUCE, ROUTER, REACT, INVOICE, VOTES, STORY, SUPPORT, RESEARCH]
