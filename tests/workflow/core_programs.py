"""Nine programs in the forms of the published ones: lines, loops that do a step again, decisions that leap ahead, several ends."""

from __future__ import annotations

STRAIGHT = """\
Step 1:::process:::Say what the customer wants to know:::next::Step 2
Step 2:::process:::List the goods that this is about:::next::Step 3
Step 3:::terminal:::Give how many there are:::
"""
"""No decision."""

AGAIN = """\
Step 1:::Process:::Say of what kind the input is:::next::step 2
Step 2:::Process:::Say of what kind the output is to be:::next::Step 3
Step 3:::Process:::Write a to-do list of the tools that lead from one to the other:::next::step 4
Step 4:::decision:::Is each tool of the list among those that there are?:::Yes::Step 5::No::Step 3
Step 5:::decision:::Does each take what the one before it gives?:::Yes::Step 6::No::Step 3
Step 6:::terminal:::Write down the list, names alone:::
"""
"""Two checks that send back to the same step; capitals as they come."""

APART = """\
Step 1:::process:::Write a to-do list of tools:::next::Step 2
Step 2:::decision:::Is each tool among those that there are?:::Yes::Step 3:::No::Step 1
Step 3:::decision:::Does each take what the one before it gives?:::Yes::Step 4:::No::Step 1
Step 4:::terminal:::Write down the list
"""
"""The branches of a decision stand apart by `:::`, as if the second were a part of its own; the last separator is missing."""

AHEAD = """\
Step 1:::Process:::Find out the days, the place of departure and the destination:::next::Step 2
Step 2:::Decision:::Is the destination a state or a city?:::city::step 6::state::step 3
Step 3:::Process:::List cities of the state:::next::step 4
Step 4:::Decision:::How long is the journey?:::3 days::Step 6::5 days::Step 5
Step 5:::Process:::Choose two of the cities:::next::Step 6
Step 6:::Process:::Choose how to get there:::next::Step 7
Step 7:::Terminal:::Write the plan for all days"""
"""Decisions leap ahead, and their ways join."""

ENDS = """\
Step 1:::process:::Look at the surroundings:::next::step 2
Step 2:::decision:::Is it safe to do what is asked?:::Yes::Step 3::No::Step 5
Step 3:::decision:::Is anything private touched?:::Yes::Step 6::No::Step 4
Step 4:::decision:::Can a tool do it?:::Yes::step 7::No::Step 8
Step 5:::terminal:::Answer “unsafe”:::
Step 6:::terminal:::Answer “private”:::
Step 7:::terminal:::Answer the tool's name:::
Step 8:::terminal:::Answer the question:::
"""
"""Several terminals."""

LOST = """\
Step 1:::process:::Read the task:::next::Step 2
Step 2:::process:::Name the input:::next::Step 3
Step 3:::process:::Name the output:::next::Step 9
Step 4:::process:::Choose a first tool:::next::Step 5
Step 5:::decision:::Does it take the input?:::Yes::Step 6::No::Step 4
Step 6:::process:::Choose a last tool:::next::Step 7
Step 7:::decision:::Does it give the output?:::Yes::Step 8::No::Step 6
Step 8:::process:::Join them:::next::Step 9
Step 9:::process:::Write a list of tools:::next::Step 10
Step 10:::process:::Read it again:::next::Step 11
Step 11:::decision:::Is it right?:::Yes::Step 12::No::Step 9
Step 12:::terminal:::Write down the list:::
"""
"""A slip of one target leaves five of twelve steps without a way to them."""

MORE_LOST = """\
Step 1:::process:::Read the task:::next::Step 2
Step 2:::decision:::Is it about a picture?:::Yes::Step 3:::No::Step 10
Step 3:::process:::Name what is wrong with it:::next::Step 14
Step 4:::process:::Mend the noise:::next::Step 5
Step 5:::process:::Mend the blur:::next::Step 6
Step 6:::process:::Mend the colours:::next::Step 7
Step 7:::decision:::Is it mended?:::Yes::Step 8:::No::Step 4
Step 8:::process:::Say what is seen:::next::Step 9
Step 9:::process:::Say it in the language asked for:::next::Step 14
Step 10:::process:::Name the language:::next::Step 11
Step 11:::decision:::Is it the language asked for?:::Yes::Step 14:::No::Step 12
Step 12:::process:::Translate it:::next::Step 14
Step 13:::process:::Shorten it:::next::Step 14
Step 14:::process:::List the tools used:::next::Step 15
Step 15:::decision:::Is none used twice?:::Yes::Step 17:::No::Step 16
Step 16:::process:::Leave the second one out:::next::Step 15
Step 17:::terminal:::Write down the list:::
"""
"""Seven of seventeen, with branches that stand apart."""

NESTED = """\
Draft:::process:::Write a draft:::next::Facts
Facts:::decision:::Are all facts in it?:::yes::Style::no::Draft
Style:::process:::Mend the style of one sentence:::next::More
More:::decision:::Is there a sentence left to mend?:::yes::Style::no::Check
Check:::decision:::Would the reader understand it?:::yes::Done::no::Draft
Done:::terminal:::Give the text:::
"""
"""A loop within a loop; names that are no numbers."""

KNOTTED = """\
Start:::decision:::Is there a draft?:::yes::Mend::no::Write
Write:::process:::Write it:::next::Mend
Mend:::decision:::Is it good?:::yes::Done::no::Write
Done:::terminal:::Give it:::
"""
"""A circle that is entered in two places: no loop of a structured program."""

PROGRAMS = {
    "straight": STRAIGHT,
    "again": AGAIN,
    "apart": APART,
    "ahead": AHEAD,
    "ends": ENDS,
    "lost": LOST,
    "more lost": MORE_LOST,
    "nested": NESTED,
    "knotted": KNOTTED,
}
