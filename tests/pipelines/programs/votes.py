"""Several tries in threads, the commonest answer wins, a last call explains it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

import flowbot as fb

SOLVE = fb.Param("solve", "Think, then give the number on a last line as 'Answer: N'.")
EXPLAIN = fb.Param("explain", "Explain to a child why this is the answer.")
client = OpenAI(max_retries=0)


@fb.step
def solve(puzzle, angle):
    reply = client.chat.completions.create(
        model="gpt-4.1-mini",
        temperature=0.9,
        messages=[{"role": "user", "content": f"{SOLVE}\nUse {angle}.\n\n{puzzle}"}],
    )
    return reply.choices[0].message.content.rsplit("Answer:", 1)[-1].strip()


@fb.step(kind="tool")
def majority(answers):
    return Counter(answers).most_common(1)[0][0]


@fb.step
def explain(puzzle, result):
    reply = client.chat.completions.create(
        model="gpt-4.1-mini",
        messages=[
            {"role": "system", "content": str(EXPLAIN)},
            {"role": "user", "content": f"{puzzle}\nAnswer: {result}"},
        ],
    )
    return reply.choices[0].message.content


def solved(puzzle):
    angles = ["algebra", "a drawing", "a table", "small cases"]
    with ThreadPoolExecutor(max_workers=3) as pool:
        answers = list(pool.map(lambda angle: solve(puzzle, angle), angles))
    result = majority(answers)
    return {"result": result, "why": explain(puzzle, result)}
