"""litellm: three calls in a row, the second reads all of the first, the third only its beginning."""

import litellm

import flowbot as fb

TRANSLATE = fb.Param("translate", "Translate into English.")
SHORTEN = fb.Param("shorten", "Say it in half the words.")
NAME = fb.Param("name", "Give a file name for this text, without extension.")


def call(prompt, text):
    reply = litellm.completion(
        model="openai/gpt-4.1-mini",
        messages=[{"role": "system", "content": str(prompt)}, {"role": "user", "content": text}],
        temperature=0,
        max_retries=0,
    )
    return reply.choices[0].message.content


def process(letter):
    english = call(TRANSLATE, letter)
    short = call(SHORTEN, english)
    name = call(NAME, english[:70] + "...")
    return {"file": name.strip().lower().replace(" ", "-") + ".txt", "text": short}
