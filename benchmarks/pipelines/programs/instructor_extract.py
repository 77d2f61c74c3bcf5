"""instructor: typed replies, a rule in Python, a letter."""

import instructor
from openai import OpenAI
from pydantic import BaseModel

import flowbot as fb

EXTRACT = fb.Param("extract", "Extract the claim.")
LETTER = fb.Param("letter", "Write to the customer what we decided and why.")


class Claim(BaseModel):
    holder: str
    damage: str
    amount: int


@fb.step
def extract(mail):
    client = instructor.from_openai(OpenAI(max_retries=0))
    return client.chat.completions.create(
        model="gpt-4.1-mini",
        response_model=Claim,
        max_retries=1,
        messages=[{"role": "system", "content": str(EXTRACT)}, {"role": "user", "content": mail}],
    )


@fb.step(kind="tool")
def decide(claim):
    return "approved without inspection" if claim.amount < 500 else "an assessor will visit"


@fb.step
def letter(claim, decision):
    reply = OpenAI(max_retries=0).chat.completions.create(
        model="gpt-4.1",
        messages=[
            {"role": "system", "content": str(LETTER)},
            {"role": "user", "content": f"To {claim.holder}, about {claim.damage}: {decision}"},
        ],
    )
    return reply.choices[0].message.content


def handle(mail):
    claim = extract(mail)
    return letter(claim, decide(claim))
