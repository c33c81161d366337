"""Text normalization: from written text to the words a voice says.

In: a text and its language. Out: `SpokenText`, the words to say, each with its place in the written text, for
captions and the history of what was heard. Imports nothing of the project. Start reading at
`normalizer.normalize`; a language's rules are a list of patterns in a module of its own.

num2words spells out numbers, Babel (BSD licence, the Unicode locale data) names months, units and
currencies. Larger normalizers (NeMo's, WeTextProcessing) need OpenFst and do not tell which written word
a spoken one comes from.
"""
