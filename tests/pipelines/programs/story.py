"""Streamed replies: an outline, a chapter for each point, each told how the last one ended."""

from openai import OpenAI

import flowbot as fb

OUTLINE = fb.Param("outline", "Outline a story as a numbered list of three points.")
CHAPTER = fb.Param("chapter", "Write the next chapter in two sentences.")


def stream(client, system, user):
    events = client.chat.completions.create(
        model="gpt-4.1",
        stream=True,
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
    )
    for event in events:
        if event.choices and event.choices[0].delta.content:
            yield event.choices[0].delta.content


@fb.step
def outline(client, idea):
    text = "".join(stream(client, str(OUTLINE), idea))
    return [line.split(". ", 1)[1].strip() for line in text.splitlines() if ". " in line]


@fb.step
def chapter(client, point, before):
    context = f"The story so far ended: ...{before[-120:]}\n" if before else ""
    yield from stream(client, str(CHAPTER), f"{context}This chapter: {point}")


def tell(idea):
    client = OpenAI(max_retries=0)
    chapters = []
    for point in outline(client, idea):
        before = chapters[-1] if chapters else ""
        chapters.append("".join(chapter(client, point, before)))
    return "\n\n".join(chapters)
