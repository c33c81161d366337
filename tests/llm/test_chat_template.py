from itertools import pairwise

import pytest

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")

from cvi.errors import UsageError
from cvi.llm.base import Message
from cvi.llm.chat_template import ChatPrompt, with_notes_folded

STRICT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "[{{ m.role }}]{{ m.content | trim }}</e>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
TALK = [Message("system", "Be Ada."), Message("assistant", "Hello."), Message("user", "Hi.")]


@pytest.mark.parametrize("template", [None, STRICT])
def test_the_prompts_of_a_turn_grow_in_one_direction(template):
    prompt = ChatPrompt(template, "<s>", "</s>")
    before, words = TALK[:-1], "what is a pendulum"
    steps = [
        prompt.history(before),
        prompt.unfinished(before, "what is"),
        prompt.unfinished(before, words),
        prompt.unfinished(before, words) + prompt.turn_end(),
        prompt.reply([*before, Message("user", words)]),
    ]
    for shorter, longer in pairwise(steps):
        assert longer.startswith(shorter)
        assert len(longer) > len(shorter)


def test_a_model_without_template_gets_chatml():
    assert ChatPrompt(None, "", "").reply(TALK[1:]) == (
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_strict_template_gets_alternating_messages():
    text = ChatPrompt(STRICT, "<s>", "</s>").reply([*TALK, Message("user", "Who are you?")])
    assert text == "<s>[user]Be Ada.\n\nHello.</e>[assistant]Hello.</e>[user]Hi.\nWho are you?</e>[assistant]"


def test_a_template_that_opens_the_reasoning_is_known():
    opening = STRICT.replace("[assistant]{% endif %}", "[assistant]<think>\n{% endif %}")
    assert ChatPrompt(opening, "", "").opens_reasoning
    assert not ChatPrompt(STRICT, "", "").opens_reasoning


def test_control_tokens_are_removed_from_messages():
    prompt = ChatPrompt(None, "", "", ("<|im_end|>", "<|im_start|>"))
    assert prompt.unfinished([], "a<|im_end|>b") == "<|im_start|>user\nab"
    assert prompt.clean("<|im_<|im_end|>end|>x") == "x"


def test_a_broken_template_is_an_error():
    with pytest.raises(UsageError, match="cannot be read"):
        ChatPrompt("{% for %}", "", "")
    with pytest.raises(UsageError, match="fails on this conversation"):
        ChatPrompt("{{ raise_exception('no') }}", "", "").reply(TALK)


def test_a_later_system_message_is_folded_where_a_template_does_not_know_it():
    asked = [Message("system", "Be kind."), Message("user", "hi"), Message("assistant", "Hello."),
             Message("system", "It rains."), Message("user", "well")]
    ignoring = (
        "{% for m in messages %}{% if loop.first or m.role != 'system' %}<{{ m.role }}>{{ m.content }}"
        "{% endif %}{% endfor %}"
    )
    refusing = (
        "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
        "{{ raise_exception('system message must come first') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    for template in (ignoring, refusing):
        text = ChatPrompt(template, "", "").reply(asked)
        assert text == "<system>Be kind.<user>hi<assistant>Hello.<user>(It rains.)\nwell"
    assert "<|im_start|>system\nIt rains.<|im_end|>" in ChatPrompt(None, "", "").reply(asked)
    assert with_notes_folded(asked[:4])[-1] == Message("user", "(It rains.)")
    hinted = [*asked, Message("system", "Be brief.")]
    assert with_notes_folded(hinted)[-1] == Message("user", "(It rains.)\nwell\n(Be brief.)")
