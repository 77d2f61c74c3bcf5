"""DSPy: a draft, what a critic says of it, and the draft anew."""

import dspy


class Writer(dspy.Module):
    def __init__(self):
        self.draft = dspy.Predict(dspy.Signature("topic -> text", "Write a notice."))
        self.critic = dspy.Predict(dspy.Signature("notice -> remark", "Say what is wrong with the notice."))
        self.revise = dspy.Predict(dspy.Signature("notice, remark -> answer", "Mend the notice by the remark."))

    def forward(self, topic):
        notice = self.draft(topic=topic).text
        remark = self.critic(notice=notice).remark
        return self.revise(notice=notice, remark=remark)


writer = Writer()
