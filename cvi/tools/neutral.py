"""Turns that ask for no tool, whatever the tools are: what a turn's words are compared with on the other
side.

Written for this project; none of them stands in the sets of requests that the decision is measured on.
"""

from __future__ import annotations

NEUTRAL_TURNS = (
    # greetings, thanks, small signs
    "Hi, nice to meet you.",
    "Good evening.",
    "How do you do?",
    "I'm fine, thanks for asking.",
    "Thanks, that helps a lot.",
    "Yes, exactly.",
    "No, I don't think so.",
    "Right, I see.",
    "Interesting.",
    "Pardon?",
    "What do you mean by that?",
    "Can you explain that in other words?",
    "Speak a little louder please.",
    "I'm not sure.",
    # about the persona
    "What are you?",
    "Are you a real person?",
    "What can you do?",
    "Where do you come from?",
    "Do you have any hobbies?",
    "How old are you?",
    # about oneself
    "I used to work in an office.",
    "I grew up in a small village.",
    "My son started school this year.",
    "My wife is a nurse at the hospital.",
    "My best friend moved to another country.",
    "I have a lot of work this week.",
    "I'm a rather shy person.",
    "I like to read in the evening.",
    "My favourite food is pasta.",
    "I'm tired because I slept badly.",
    "I bought a new bicycle and I love it.",
    "I had a meeting with my boss this morning.",
    "I spoke with a friendly woman on the phone.",
    "We ate very well there.",
    "My phone is old and slow.",
    # stories and remarks
    "Yesterday we went to the cinema and the film was funny.",
    "Last summer we travelled through Italy by train.",
    "It was so hot that nobody could sleep.",
    "He left without a word.",
    "She said that she would come back, but she never did.",
    "The music at the party was far too loud.",
    "The story has a sad ending.",
    "People are always in a hurry these days.",
    "Everything gets more expensive.",
    "The city has changed a lot.",
    "There is a nice old church on the hill.",
    # questions about the world, and for advice
    "What is the largest animal on earth?",
    "Who wrote that book?",
    "Why do leaves fall in autumn?",
    "How does a radio work?",
    "How long does it take to learn a language?",
    "Tell me a story.",
    "What would you do in my place?",
    "Which one is better for beginners?",
    "Do you have a car park?",
    "Is it good?",
    "What is it made of?",
    "How much does a good one cost?",
)
